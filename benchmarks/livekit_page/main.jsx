// The smallest page of LiveKit's own React components: their device check, then their whole call.
import { LiveKitRoom, PreJoin, VideoConference } from "@livekit/components-react";
import "@livekit/components-styles";
import { createElement, useState } from "react";
import { createRoot } from "react-dom/client";

const given = new URLSearchParams(location.search);

function Page() {
  const [joins, setJoins] = useState(false);
  if (!joins) {
    const defaults = { username: given.get("name"), videoEnabled: true, audioEnabled: true };
    return createElement(PreJoin, { defaults, persistUserChoices: false, onSubmit: () => setJoins(true) });
  }
  const room = { token: given.get("token"), serverUrl: given.get("url"), video: true, audio: true, connect: true };
  return createElement(LiveKitRoom, { ...room, "data-lk-theme": "default" }, createElement(VideoConference));
}

createRoot(document.getElementById("root")).render(createElement(Page));
