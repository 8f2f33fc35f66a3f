/** A processor that puts something else behind a person. It comes with its library when it is first chosen. */

import { type BackgroundOptions, BackgroundTransformer, ProcessorWrapper, VideoTransformer, type VideoTransformerInitOptions } from "@livekit/track-processors";
import { ImageSegmenter } from "@mediapipe/tasks-vision";
// The package exports its wasm/ to nobody.
import loader from "../../node_modules/@mediapipe/tasks-vision/wasm/vision_wasm_internal.js?url";
import wasm from "../../node_modules/@mediapipe/tasks-vision/wasm/vision_wasm_internal.wasm?url";
import type { Background } from "../lib/prefs";
import { compileWasm } from "./compileWasm";
import { loadOwnPicture } from "./ownPicture";
import { PICTURES } from "./pictures";
import model from "./segmenter.tflite?url";
import { SlowWatch } from "./slowWatch";

const BLUR = 12;

let compiled: Promise<WebAssembly.Module> | null = null;

/** Everything that can fail to arrive is here afterwards. */
async function prepare(): Promise<WebAssembly.Module> {
  compiled ??= compileWasm(wasm);
  compiled.catch(() => {
    compiled = null;
  });
  return compiled;
}

/** MediaPipe's own way compiles in the page, which the page's policy forbids: it is given an instance instead. */
function give(module: WebAssembly.Module): void {
  (self as { Module?: unknown }).Module = {
    instantiateWasm: (imports: WebAssembly.Imports, receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void) => {
      void WebAssembly.instantiate(module, imports).then((instance) => {
        receive(instance, module);
      });
      return {};
    },
  };
}

class Transformer extends BackgroundTransformer {
  override async init(options: VideoTransformerInitOptions): Promise<void> {
    await VideoTransformer.prototype.init.call(this, options);
    // @livekit/track-processors 0.8 sends the first picture as it came, so that nobody looks at black meanwhile.
    this.isFirstFrame = false;
    give(await prepare());
    this.imageSegmenter = await ImageSegmenter.createFromOptions(
      { wasmLoaderPath: loader, wasmBinaryPath: wasm },
      {
        baseOptions: { modelAssetPath: model, delegate: "GPU" },
        canvas: this.canvas,
        runningMode: "VIDEO",
        outputCategoryMask: true,
        outputConfidenceMasks: false,
      },
    );
    await this.update(this.options);
  }
}

export class Segmenting extends ProcessorWrapper<BackgroundOptions, Transformer> {
  private constructor(options: BackgroundOptions) {
    super(new Transformer(options), "background");
  }

  /** `onSlow`: this browser does not get through with the pictures. Rejects when something of it does not load. */
  static async make(background: Background, onSlow: () => void): Promise<Segmenting> {
    const [options] = await Promise.all([optionsFor(background), prepare()]);
    const watch = new SlowWatch();
    let told = false;
    const onFrameProcessed = ({ processingTimeMs }: { processingTimeMs: number }) => {
      if (told || !watch.feed(processingTimeMs, performance.now())) return;
      told = true;
      onSlow();
    };
    return new Segmenting({ ...options, onFrameProcessed });
  }

  async show(background: Background): Promise<void> {
    await this.updateTransformerOptions(await optionsFor(background));
  }
}

async function optionsFor(background: Background): Promise<BackgroundOptions> {
  if (background === "none") return { blurRadius: undefined, imagePath: undefined };
  if (background === "blur") return { blurRadius: BLUR, imagePath: undefined };
  const imagePath = background === "own" ? await loadOwnPicture() : PICTURES[background];
  // One's own picture may have been removed with the browser's data: nobody sees the room for that.
  return imagePath === null ? { blurRadius: BLUR, imagePath: undefined } : { blurRadius: undefined, imagePath };
}
