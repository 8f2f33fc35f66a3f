import { useEffect, useState } from "react";
import type { Embedding } from "../embed/embedding";
import type { CallParts, VisitParts } from "../embed/parts";
import { readWishes } from "../embed/wishes";
import type { ServerConfig } from "../lib/api";
import type { SessionState } from "../lib/session";

/** One for the page: going from room to room in the frame does not end it. Undefined: nobody has asked yet. */
let opened: Promise<Embedding | null> | undefined;

// Before the room takes what is behind `#` out of the address.
const wishes = window.parent === window ? null : readWishes(window.location.search, window.location.hash);

async function open(allowed: readonly string[]): Promise<Embedding | null> {
  if (wishes === null) return null;
  const { openEmbedding } = await import("../embed/embedding");
  return openEmbedding(wishes, allowed, window);
}

/**
 * The way to talk with the page that shows this one in a frame: null where there is none or it may not, undefined until
 * that is known. The code for it is loaded in frames only.
 */
export function useEmbedding({ frameAncestors }: ServerConfig): Embedding | null | undefined {
  const [embedding, setEmbedding] = useState<Embedding | null | undefined>(wishes === null ? null : undefined);
  useEffect(() => {
    if (wishes === null || frameAncestors === null) return;
    let current = true;
    opened ??= open(frameAncestors);
    opened.then(
      (answer) => {
        if (current) setEmbedding(answer);
      },
      () => {
        // Without its code the page works as one that nobody talks with.
        if (current) setEmbedding(null);
      },
    );
    return () => {
      current = false;
    };
  }, [frameAncestors]);
  return embedding;
}

/** Tells how far the visit is. Whether it goes into the call by itself, as long as nothing speaks against it. */
export function useEmbeddedVisit(embedding: Embedding | null, parts: VisitParts, state: SessionState): boolean {
  const { session } = parts;
  const [begun] = useState(() => embedding?.begin(parts) ?? { direct: false });
  const [direct, setDirect] = useState(begun.direct);
  if (direct && (state.phase.kind !== "lobby" || state.problem !== null || state.waiting)) setDirect(false);
  useEffect(() => {
    if (begun.direct) void session.join();
  }, [begun, session]);
  useEffect(() => {
    embedding?.showSession(state);
  }, [embedding, state]);
  return direct;
}

export function useEmbeddedCall(embedding: Embedding | null, parts: CallParts): void {
  // Each rendering is what the call is like now; what differs is found there.
  useEffect(() => {
    embedding?.showCall(parts);
  });
  useEffect(
    () => () => {
      embedding?.leaveCall();
    },
    [embedding],
  );
}
