const FLOOR_DB = -60;
const CEILING_DB = -10;

/** Mean power of samples between -1 and 1, in dB of full scale. */
export function decibels(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(sum / samples.length + 1e-12);
}

/** 0 for silence to 1 for loud speech. */
export function loudness(db: number): number {
  return Math.min(1, Math.max(0, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
