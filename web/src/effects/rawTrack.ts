import type { LocalTrack } from "livekit-client";

const copies = new WeakMap<MediaStreamTrack, MediaStreamTrack[]>();

/** What a device itself gives, whatever is made of it before it is sent. */
export function rawTrack(track: LocalTrack): MediaStreamTrack {
  const processor = track.getProcessor() as { source?: MediaStreamTrack } | undefined;
  return processor?.source ?? track.mediaStreamTrack;
}

/** A track of the same device that is not muted with the original. */
export function copyOf(track: MediaStreamTrack): MediaStreamTrack {
  const copy = track.clone();
  copies.set(track, [...(copies.get(track) ?? []), copy]);
  return copy;
}

/** Before a device is opened with other settings: Chromium keeps those that somebody still has it open with. */
export function stopCopies(track: MediaStreamTrack): void {
  for (const copy of copies.get(track) ?? []) copy.stop();
}
