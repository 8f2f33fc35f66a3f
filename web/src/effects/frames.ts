/** What RNNoise takes at once: 10 ms at 48 kHz. */
export const FRAME = 480;

/**
 * Sound comes in pieces of any length up to a frame and leaves in pieces of the same length, one frame later; in between
 * each frame goes through `process`, which changes it in place.
 */
export class Frames {
  private readonly frame = new Float32Array(FRAME);
  private readonly done = new Float32Array(2 * FRAME);
  private filled = 0;
  private ready = FRAME;

  constructor(private readonly process: (frame: Float32Array) => void) {}

  push(input: Float32Array, output: Float32Array): void {
    for (let at = 0; at < input.length; ) {
      const count = Math.min(input.length - at, FRAME - this.filled);
      this.frame.set(input.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      if (this.filled < FRAME) continue;
      this.process(this.frame);
      this.done.set(this.frame, this.ready);
      this.ready += FRAME;
      this.filled = 0;
    }
    output.set(this.done.subarray(0, output.length));
    this.done.copyWithin(0, output.length, this.ready);
    this.ready -= output.length;
  }
}
