/** In place of data tracks of one's own: this page publishes none. It has what `Room` and `LocalParticipant` ask of them. */

import { EventEmitter } from "events";
import type Original from "../../node_modules/livekit-client/dist/src/room/data-track/outgoing/OutgoingDataTrackManager";

type Asked =
  | "updateE2eeManager"
  | "publishRequest"
  | "receivedSfuPublishResponse"
  | "receivedSfuUnpublishResponse"
  | "handlePacketSendComplete"
  | "sfuWillRepublishTracks"
  | "queryPublished"
  | "reset";

const ignore = () => undefined;

export default class NoDataTracks extends EventEmitter implements Pick<Original, Asked> {
  updateE2eeManager = ignore;
  publishRequest = () => Promise.reject(new Error("this page publishes no data tracks"));
  receivedSfuPublishResponse = ignore;
  receivedSfuUnpublishResponse = ignore;
  handlePacketSendComplete = ignore;
  sfuWillRepublishTracks = ignore;
  queryPublished = () => [];
  reset = () => Promise.resolve();
}
