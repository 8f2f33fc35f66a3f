/**
 * The SDK's worker, which encrypts and decrypts frames, made strict: in a sealed room nothing goes out in the clear and
 * nothing that came in the clear is shown, whatever the server says.
 */

import "livekit-client/e2ee-worker";

interface Message {
  kind: string;
  data: { enabled?: boolean; participantIdentity?: string };
}

interface TransformEvent {
  transformer: { options: { kind: string; participantIdentity: string } };
}

type Handler<Event> = (event: Event) => void;

interface Scope {
  onmessage: Handler<{ data: Message }>;
  /** Where the browser has RTCRtpScriptTransform. */
  onrtctransform?: Handler<TransformEvent>;
}

const scope = self as unknown as Scope;
const handleMessage = scope.onmessage;
const handleTransform = scope.onrtctransform;

/** The SDK sends frames of a participant in the clear until it has heard this. */
function encryptAlways(participantIdentity: string | undefined): void {
  handleMessage({ data: { kind: "enable", data: { enabled: true, participantIdentity } } });
}

scope.onmessage = (event) => {
  const { kind, data } = event.data;
  // A mark of the server's, behind which the SDK shows frames that nobody encrypted.
  if (kind === "setSifTrailer") return;
  // The server's word decides this for others: "not encrypted" would make the SDK show what it sends as it is.
  if (kind === "enable") data.enabled = true;
  if (kind === "encode") encryptAlways(data.participantIdentity);
  handleMessage(event);
};

if (handleTransform !== undefined) {
  scope.onrtctransform = (event) => {
    const { kind, participantIdentity } = event.transformer.options;
    if (kind === "encode") encryptAlways(participantIdentity);
    handleTransform(event);
  };
}
