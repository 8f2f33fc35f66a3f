import type { Compiled } from "./wasmCompiler";

/** The module at an address of ours, for page or worklet to make instances of. Rejects when it cannot be had. */
export function compileWasm(url: string): Promise<WebAssembly.Module> {
  const worker = new Worker(new URL("./wasmCompiler.ts", import.meta.url), { type: "module" });
  return new Promise<WebAssembly.Module>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Compiled>) => {
      if ("module" in data) resolve(data.module);
      else reject(new Error(data.problem));
    };
    // A browser that hands no modules from one to another, or a worker that was not fetched.
    worker.onmessageerror = worker.onerror = () => {
      reject(new Error("the compiler did not load"));
    };
    worker.postMessage(new URL(url, window.location.href).href);
  }).finally(() => {
    worker.terminate();
  });
}
