/**
 * What one says oneself, as text, by the browser's own recognition on this device (Web Speech API, `processLocally`).
 * Nothing is recognized anywhere else: a browser that cannot promise that is not asked.
 */

/** "pack": the browser could, but lacks the language and would have to fetch it from its maker. */
export type OwnCaptionSupport = "ready" | "pack" | "none";

export interface Heard {
  results: ArrayLike<ArrayLike<{ transcript: string }> & { isFinal: boolean }>;
  resultIndex: number;
}

/** The part of `SpeechRecognition` that is used. */
export interface Recognition {
  lang: string;
  continuous: boolean;
  interimResults: boolean;
  processLocally?: boolean;
  onresult: ((event: Heard) => void) | null;
  onerror: ((event: { error: string }) => void) | null;
  onend: (() => void) | null;
  start: (track?: MediaStreamTrack) => void;
  abort: () => void;
}

export interface RecognitionKind {
  new (): Recognition;
  available?: (options: { langs: string[]; processLocally: boolean }) => Promise<string>;
}

export interface Said {
  /** One stretch of speech; what comes again with the same number takes the place of what was there. */
  segment: number;
  text: string;
  final: boolean;
}

/** So often at most what is not final yet is told. */
const INTERIM_MS = 500;
const PAUSE_MS = 300;
const MAX_PAUSE_MS = 10_000;
/** No waiting changes these. */
const HOPELESS: ReadonlySet<string> = new Set(["not-allowed", "service-not-allowed", "language-not-supported", "audio-capture"]);

export function recognitionOf(page: object): RecognitionKind | null {
  const { SpeechRecognition = null } = page as { SpeechRecognition?: RecognitionKind | null };
  return SpeechRecognition;
}

/** The language of the page as the person's browser has it, with its country: recognition knows few without. */
export function speechLanguage(language: string, wanted: readonly string[]): string {
  const [main] = language.split("-", 1);
  return language.includes("-") ? language : (wanted.find((tag) => tag.split("-", 1)[0] === main) ?? language);
}

/** Older browsers have the name, and send what they hear to their maker: those have no `processLocally`. */
export async function ownCaptionSupport(kind: RecognitionKind | null, language: string): Promise<OwnCaptionSupport> {
  if (kind?.available === undefined || !("processLocally" in new kind())) return "none";
  const found = await kind.available({ langs: [language], processLocally: true }).catch(() => "unavailable");
  if (found === "available") return "ready";
  return found === "downloadable" || found === "downloading" ? "pack" : "none";
}

/** Listens to a track until it is stopped; the browser ends by itself now and then, and is begun anew. */
export class OwnCaptions {
  private recognition: Recognition | null = null;
  private segment = 0;
  private toldAtMs = -Infinity;
  private pauseMs = PAUSE_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `onGivenUp`: it cannot go on, whatever one waits. */
  constructor(
    private readonly kind: RecognitionKind,
    private readonly language: string,
    private readonly tell: (said: Said) => void,
    private readonly onGivenUp: () => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  start(track: MediaStreamTrack): void {
    this.stop();
    const recognition = new this.kind();
    if (!("processLocally" in recognition)) {
      this.onGivenUp();
      return;
    }
    recognition.processLocally = true;
    recognition.lang = this.language;
    recognition.continuous = true;
    recognition.interimResults = true;
    recognition.onresult = (event) => {
      this.hear(event);
    };
    recognition.onerror = ({ error }) => {
      if (!HOPELESS.has(error)) return;
      this.stop();
      this.onGivenUp();
    };
    recognition.onend = () => {
      this.recognition = null;
      this.timer = setTimeout(() => {
        this.start(track);
      }, this.pauseMs);
      this.pauseMs = Math.min(2 * this.pauseMs, MAX_PAUSE_MS);
    };
    this.recognition = recognition;
    try {
      recognition.start(track);
    } catch {
      // It does not take a track, or not this one.
      this.stop();
      this.onGivenUp();
    }
  }

  stop(): void {
    clearTimeout(this.timer);
    const { recognition } = this;
    this.recognition = null;
    if (recognition === null) return;
    recognition.onresult = recognition.onerror = recognition.onend = null;
    recognition.abort();
    this.segment += 1;
  }

  private hear({ results, resultIndex }: Heard): void {
    this.pauseMs = PAUSE_MS;
    for (const result of Array.from(results).slice(resultIndex)) {
      const text = result[0]?.transcript.trim() ?? "";
      if (text === "") continue;
      if (result.isFinal) {
        this.tell({ segment: this.segment, text, final: true });
        this.segment += 1;
        this.toldAtMs = -Infinity;
      } else if (this.now() - this.toldAtMs >= INTERIM_MS) {
        this.toldAtMs = this.now();
        this.tell({ segment: this.segment, text, final: false });
      }
    }
  }
}
