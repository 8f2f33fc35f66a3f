/** In place of data tracks that others send: this page subscribes to none. It has what `Room` asks of them, as far as types can see. */

import { EventEmitter } from "events";
import type Original from "../../node_modules/livekit-client/dist/src/room/data-track/incoming/IncomingDataTrackManager";

type Asked =
  | "updateE2eeManager"
  | "receivedSfuSubscriberHandles"
  | "packetReceived"
  | "receiveSfuPublicationUpdates"
  | "resendSubscriptionUpdates"
  | "handleRemoteParticipantDisconnected"
  | "reset";

const ignore = () => undefined;
const ignoreLater = () => Promise.resolve();

export default class NoDataTracks extends EventEmitter implements Pick<Original, Asked> {
  updateE2eeManager = ignore;
  receivedSfuSubscriberHandles = ignore;
  packetReceived = ignoreLater;
  receiveSfuPublicationUpdates = ignoreLater;
  resendSubscriptionUpdates = ignore;
  handleRemoteParticipantDisconnected = ignore;
  reset = ignore;
}
