/** livekit-client with the app's sealed media, and nothing else of the app: what the tests drive. */

import * as LivekitClient from "livekit-client";
import { createMediaKeys, SEALED_PUBLISH_DEFAULTS } from "../../../web/src/sealed/media";

Object.assign(window, { LivekitClient, createMediaKeys, SEALED_PUBLISH_DEFAULTS });
