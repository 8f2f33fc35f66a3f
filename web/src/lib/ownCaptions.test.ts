import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Heard, OwnCaptions, ownCaptionSupport, type Recognition, type RecognitionKind, recognitionOf, type Said, speechLanguage } from "./ownCaptions";

const made: FakeRecognition[] = [];

class FakeRecognition implements Recognition {
  lang = "";
  continuous = false;
  interimResults = false;
  processLocally? = false;
  onresult: Recognition["onresult"] = null;
  onerror: Recognition["onerror"] = null;
  onend: Recognition["onend"] = null;
  readonly started: (MediaStreamTrack | undefined)[] = [];
  aborted = 0;
  constructor() {
    made.push(this);
  }
  start(track?: MediaStreamTrack): void {
    this.started.push(track);
  }
  abort(): void {
    this.aborted += 1;
  }
}

/** As browsers had it before: what is heard goes to their maker. */
class OldRecognition extends FakeRecognition {
  constructor() {
    super();
    delete this.processLocally;
  }
}

const kindThat = (answer: string, Base: typeof FakeRecognition = FakeRecognition): RecognitionKind =>
  Object.assign(class extends Base {}, { available: vi.fn(() => Promise.resolve(answer)) });

const heard = (text: string, isFinal: boolean): Heard => ({ results: [Object.assign([{ transcript: text }], { isFinal })], resultIndex: 0 });
const track = {} as MediaStreamTrack;

beforeEach(() => {
  made.length = 0;
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("ownCaptionSupport", () => {
  it.each([
    ["available", "ready"],
    ["downloadable", "pack"],
    ["downloading", "pack"],
    ["unavailable", "none"],
  ])("%s is %s", async (answer, expected) => {
    const kind = kindThat(answer);
    expect(await ownCaptionSupport(kind, "de")).toBe(expected);
    expect(kind.available).toHaveBeenCalledWith({ langs: ["de"], processLocally: true });
  });

  it("is none where the browser cannot promise to stay on the device", async () => {
    expect(await ownCaptionSupport(null, "de")).toBe("none");
    expect(await ownCaptionSupport(FakeRecognition, "de")).toBe("none");
    expect(await ownCaptionSupport(kindThat("available", OldRecognition), "de")).toBe("none");
    expect(recognitionOf({ webkitSpeechRecognition: FakeRecognition })).toBeNull();
  });
});

describe("speechLanguage", () => {
  it.each([
    ["en", ["de-DE", "en-GB", "en-US"], "en-GB"],
    ["zh-TW", ["en-US"], "zh-TW"],
    ["ar", ["en-US"], "ar"],
  ])("%s of %j is %s", (language, wanted, expected) => {
    expect(speechLanguage(language, wanted)).toBe(expected);
  });
});

describe("OwnCaptions", () => {
  function begin(kind: RecognitionKind = FakeRecognition) {
    const said: Said[] = [];
    const clock = { nowMs: 0 };
    const givenUp = vi.fn();
    const captions = new OwnCaptions(kind, "ja", (one) => said.push(one), givenUp, () => clock.nowMs);
    captions.start(track);
    return { said, clock, givenUp, captions };
  }

  it("listens on the device, to the track that others hear", () => {
    begin();
    expect(made).toHaveLength(1);
    expect(made[0]).toMatchObject({ processLocally: true, lang: "ja", continuous: true, interimResults: true, started: [track] });
  });

  it("never begins where it would not stay on the device", () => {
    const { givenUp } = begin(OldRecognition);
    expect(made[0]?.started).toEqual([]);
    expect(givenUp).toHaveBeenCalledOnce();
  });

  it("gives up on a browser that takes no track", () => {
    class Picky extends FakeRecognition {
      override start(): void {
        throw new TypeError("no track");
      }
    }
    expect(begin(Picky).givenUp).toHaveBeenCalledOnce();
  });

  it("tells what changes twice a second, and each end", () => {
    const { said, clock } = begin();
    const [recognition] = made;
    for (const [atMs, text] of [[0, "good"], [100, "good mor"], [600, "good morning"]] as const) {
      clock.nowMs = atMs;
      recognition?.onresult?.(heard(text, false));
    }
    recognition?.onresult?.(heard(" good morning all ", true));
    recognition?.onresult?.(heard("next", false));
    recognition?.onresult?.(heard(" ", true));
    expect(said).toEqual([
      { segment: 0, text: "good", final: false },
      { segment: 0, text: "good morning", final: false },
      { segment: 0, text: "good morning all", final: true },
      { segment: 1, text: "next", final: false },
    ]);
  });

  it("begins again when the browser ends by itself, later each time, until something is heard", () => {
    begin();
    made[0]?.onend?.();
    vi.advanceTimersByTime(300);
    expect(made).toHaveLength(2);
    made[1]?.onend?.();
    vi.advanceTimersByTime(300);
    expect(made).toHaveLength(2);
    vi.advanceTimersByTime(300);
    expect(made).toHaveLength(3);
    made[2]?.onresult?.(heard("yes", true));
    made[2]?.onend?.();
    vi.advanceTimersByTime(300);
    expect(made).toHaveLength(4);
  });

  it("is over when it is stopped, also between two times", () => {
    const { captions, said } = begin();
    captions.stop();
    expect(made[0]?.aborted).toBe(1);
    expect(made[0]?.onresult).toBeNull();
    captions.start(track);
    made[1]?.onend?.();
    captions.stop();
    vi.advanceTimersByTime(60_000);
    expect(made).toHaveLength(2);
    expect(said).toEqual([]);
  });

  it("gives up where waiting does not help, and not for silence", () => {
    const { givenUp } = begin();
    made[0]?.onerror?.({ error: "no-speech" });
    expect(givenUp).not.toHaveBeenCalled();
    made[0]?.onerror?.({ error: "language-not-supported" });
    expect(givenUp).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(60_000);
    expect(made).toHaveLength(1);
  });
});
