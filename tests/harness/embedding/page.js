/** A page written for Jitsi's React component; only the domain is another. */

import { JitsiMeeting } from "@jitsi/react-sdk";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const EVENTS = [
  "audioMuteStatusChanged", "displayNameChange", "dominantSpeakerChanged", "endpointTextMessageReceived", "errorOccurred",
  "incomingMessage", "knockingParticipant", "outgoingMessage", "participantJoined", "participantKickedOut",
  "participantLeft", "participantRoleChanged", "passwordRequired", "raiseHandUpdated", "readyToClose", "subjectChange",
  "tileViewChanged", "videoConferenceJoined", "videoConferenceLeft", "videoMuteStatusChanged",
];

window.heard = [];

window.meet = (domain, roomName, config) => {
  const meeting = createElement(JitsiMeeting, {
    domain,
    roomName,
    configOverwrite: { prejoinPageEnabled: false, startWithVideoMuted: true, ...config },
    userInfo: { displayName: "Ada", email: "ada@home.example" },
    getIFrameRef: (node) => {
      node.style.height = "600px";
    },
    onApiReady: (api) => {
      window.api = api;
      for (const name of EVENTS) api.on(name, (data) => window.heard.push([name, data]));
    },
    onReadyToClose: () => window.heard.push(["onReadyToClose", {}]),
  });
  createRoot(document.getElementById("root")).render(meeting);
};
