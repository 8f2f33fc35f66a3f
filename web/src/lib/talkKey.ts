/** Talking while a key is held, with a microphone that is muted otherwise. */

/** What the talk key needs of the microphone. */
export interface TalkMic {
  isOn: () => boolean;
  set: (on: boolean) => Promise<unknown>;
  /** The microphone could not be switched. */
  onProblem: (error: unknown) => void;
}

/**
 * One microphone and one key. A microphone that is on when the key goes down is none of its business. Switching takes
 * time, and keys are faster: whatever happened meanwhile, the microphone ends as the key does, and never on without it.
 */
export class TalkKey {
  private held = false;
  private switching = false;

  constructor(private readonly mic: TalkMic) {}

  /** Whether the key is taken: it is not when the microphone is on anyhow. */
  press(): boolean {
    if (this.held) return true;
    if (!this.switching && this.mic.isOn()) return false;
    this.held = true;
    void this.settle();
    return true;
  }

  /** Whether the key was taken when it went down. */
  release(): boolean {
    if (!this.held) return false;
    this.held = false;
    void this.settle();
    return true;
  }

  private async settle(): Promise<void> {
    if (this.switching) return;
    this.switching = true;
    try {
      for (let done = !this.held; done !== this.held; ) {
        done = this.held;
        await this.mic.set(done);
      }
    } catch (error) {
      this.held = false;
      this.mic.onProblem(error);
    } finally {
      this.switching = false;
    }
  }
}
