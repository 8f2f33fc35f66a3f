/* global window, document, navigator, HTMLElement, CustomEvent, customElements, URL, URLSearchParams, TextDecoder, setTimeout, clearTimeout */
/*
 * Shows a room of this server in a frame of another page: `new JitsiMeetExternalAPI(domain, options)`, with the commands
 * and events that Jitsi's script of this name has, as far as Ting can do the same, and the element <ting-room>. What it
 * cannot do is answered with the event errorOccurred. The server's setting frame_ancestors must name the page's origin.
 */
(() => {
  "use strict";

  const ownUrl = new URL(document.currentScript?.src ?? window.location.href);
  const MAY =
    "autoplay; camera; clipboard-write; display-capture; fullscreen; microphone; picture-in-picture; screen-wake-lock; speaker-selection";
  const ANSWER_MS = 30_000;
  /** Methods of Jitsi's object that have nothing to stand on here. */
  const MISSING = [
    "captureCameraPicture", "captureLargeVideoScreenshot", "getAvailableDevices", "getAvatarURL", "getContentSharingParticipants",
    "getCurrentDevices", "getCustomAvatarBackgrounds", "getDeploymentInfo", "getEmail", "getLivestreamUrl", "getRoomsInfo",
    "getSessionId", "getSharedDocumentUrl", "getSupportedCommands", "getSupportedEvents", "getVideoQuality", "invite",
    "isAudioAvailable", "isAudioDisabled", "isDeviceChangeAvailable", "isDeviceListAvailable", "isMultipleAudioInputSupported",
    "isP2pActive", "isParticipantForceMuted", "isParticipantsPaneOpen", "isModerationOn", "isSharingScreen", "isStartSilent",
    "isVideoAvailable", "isVisitor", "listBreakoutRooms", "resizeLargeVideo", "sendProxyConnectionEvent", "setAudioInputDevice",
    "setAudioOutputDevice", "setLargeVideoParticipant", "setVideoInputDevice", "setVirtualBackground", "startRecording",
    "stopRecording",
  ];
  let frames = 0;

  class Emitter {
    #listeners = new Map();

    on(name, listener) {
      this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), { call: listener, key: listener }]);
      return this;
    }

    once(name, listener) {
      const call = (data) => {
        this.off(name, listener);
        listener(data);
      };
      this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), { call, key: listener }]);
      return this;
    }

    off(name, listener) {
      this.#listeners.set(name, (this.#listeners.get(name) ?? []).filter(({ key }) => key !== listener));
      return this;
    }

    emit(name, data) {
      const listeners = this.#listeners.get(name) ?? [];
      for (const { call } of listeners) call(data);
      return listeners.length > 0;
    }

    listenerCount(name) {
      return this.#listeners.get(name)?.length ?? 0;
    }

    removeAllListeners(name) {
      if (name === undefined) this.#listeners.clear();
      else this.#listeners.delete(name);
      return this;
    }

    addListener(name, listener) {
      return this.on(name, listener);
    }

    removeListener(name, listener) {
      return this.off(name, listener);
    }

    addEventListener(name, listener) {
      this.on(name, listener);
    }

    addEventListeners(listeners) {
      for (const [name, listener] of Object.entries(listeners)) this.on(name, listener);
    }

    removeEventListener(name) {
      this.removeAllListeners(name);
    }

    removeEventListeners(names) {
      for (const name of names) this.removeAllListeners(name);
    }
  }

  /** Jitsi's domains have no scheme: the script's own where it is of the same server, https elsewhere. */
  function originOf(domain) {
    if (domain === undefined || domain === "" || domain === ownUrl.host) return ownUrl.origin;
    return new URL(String(domain).includes("://") ? domain : `https://${domain}`).origin;
  }

  /** The nearest name that a room of Ting can have; the server says what is wrong with one that has none. */
  function roomOf(name) {
    return String(name ?? "").normalize("NFC").trim().replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[._-]+/u, "");
  }

  /** The name in a token of Jitsi's kind. Nobody has checked it: it is worth what a name in a field is worth. */
  function nameOfToken(jwt) {
    try {
      const bytes = Uint8Array.from(window.atob(jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
      const { name } = JSON.parse(new TextDecoder().decode(bytes)).context.user;
      return typeof name === "string" ? name : "";
    } catch {
      return "";
    }
  }

  function addressOf(origin, { roomName, userInfo, jwt, configOverwrite: config = {} }) {
    const query = new URLSearchParams({ embed: window.location.origin });
    if (config.prejoinPageEnabled === false || config.prejoinConfig?.enabled === false) query.set("prejoin", "0");
    const person = new URLSearchParams();
    const name = userInfo?.displayName || (jwt ? nameOfToken(jwt) : "");
    if (name) person.set("name", name);
    if (typeof config.startWithAudioMuted === "boolean") person.set("mic", config.startWithAudioMuted ? "0" : "1");
    if (typeof config.startWithVideoMuted === "boolean") person.set("camera", config.startWithVideoMuted ? "0" : "1");
    return `${origin}/r/${encodeURIComponent(roomOf(roomName))}?${query}#${person}`;
  }

  const sized = (size) => (typeof size === "number" || /^\d+$/.test(size ?? "") ? `${size}px` : (size ?? "100%"));

  class JitsiMeetExternalAPI extends Emitter {
    #frame = document.createElement("iframe");
    #origin;
    #ready = false;
    #waiting = [];
    #state = { joined: false, audioMuted: true, videoMuted: true, participants: [] };
    #timer;
    #hear = (event) => this.#take(event);

    constructor(domain, options = {}) {
      super();
      this.#origin = originOf(domain);
      const frame = this.#frame;
      frame.name = frame.id = `jitsiConferenceFrame${frames++}`;
      frame.allow = MAY;
      frame.allowFullscreen = true;
      frame.style.border = "0";
      frame.style.width = sized(options.width);
      frame.style.height = sized(options.height);
      frame.addEventListener("load", () => this.#loaded(options));
      window.addEventListener("message", this.#hear);
      frame.src = addressOf(this.#origin, options);
      (options.parentNode ?? document.body).appendChild(frame);
    }

    #loaded({ onload, jwt }) {
      onload?.();
      if (jwt) this.#fail("jwt", "Ting lets nobody in by a token of Jitsi; only the name was read from it");
      clearTimeout(this.#timer);
      if (this.#ready) return;
      this.#timer = setTimeout(() => {
        this.#fail("no_answer", `no answer from ${this.#origin}: is ${window.location.origin} in its frame_ancestors?`, true);
      }, ANSWER_MS);
    }

    #fail(name, message, isFatal = false) {
      const error = { name: `ting.${name}`, type: "CONFERENCE", message, isFatal, details: {} };
      this.emit("errorOccurred", { ...error, error });
    }

    #take({ source, origin, data }) {
      if (source !== this.#frame.contentWindow || origin !== this.#origin || typeof data !== "object" || data === null) return;
      if (data.ting === "ready") {
        this.#ready = true;
        clearTimeout(this.#timer);
        for (const [name, args] of this.#waiting.splice(0)) this.#send(name, args);
      } else if (data.ting === "state") this.#state = data.state;
      else if (data.ting === "event") this.emit(data.name, data.data);
    }

    #send(name, args) {
      const message = { ting: "command", name, args };
      const target = this.#frame.contentWindow;
      // The click that wants a screen shared was on this page: Chromium lets a page hand that on.
      if (name === "toggleShareScreen" && navigator.userActivation?.isActive) {
        target?.postMessage(message, { targetOrigin: this.#origin, delegate: "display-capture" });
      } else target?.postMessage(message, this.#origin);
    }

    executeCommand(name, ...args) {
      if (this.#ready) this.#send(name, args);
      else this.#waiting.push([name, args]);
    }

    executeCommands(commands) {
      for (const [name, args] of Object.entries(commands)) this.executeCommand(name, ...(Array.isArray(args) ? args : [args]));
    }

    getIFrame() {
      return this.#frame;
    }

    getParticipantsInfo() {
      return this.#state.participants.map(({ id, displayName, role }) => ({
        participantId: id,
        displayName,
        formattedDisplayName: displayName,
        role,
      }));
    }

    getNumberOfParticipants() {
      return this.#state.participants.length;
    }

    getDisplayName(id) {
      return this.#state.participants.find((one) => one.id === id)?.displayName;
    }

    isAudioMuted() {
      return Promise.resolve(this.#state.audioMuted);
    }

    isVideoMuted() {
      return Promise.resolve(this.#state.videoMuted);
    }

    pinParticipant(id) {
      this.executeCommand("pinParticipant", id);
    }

    dispose() {
      clearTimeout(this.#timer);
      window.removeEventListener("message", this.#hear);
      this.removeAllListeners();
      this.#frame.remove();
    }

    /** For methods that are missing here: an event, and a promise that says the same. */
    refuse(name) {
      const message = `${name}: Ting has no such function`;
      this.#fail("unknown_function", message);
      const refused = Promise.reject(new Error(message));
      refused.catch(() => undefined);
      return refused;
    }
  }

  for (const name of MISSING) {
    JitsiMeetExternalAPI.prototype[name] = function missing() {
      return this.refuse(name);
    };
  }

  const EVENTS = [
    "audioMuteStatusChanged", "displayNameChange", "dominantSpeakerChanged", "endpointTextMessageReceived", "errorOccurred",
    "incomingMessage", "knockingParticipant", "outgoingMessage", "participantJoined", "participantKickedOut", "participantLeft",
    "participantRoleChanged", "passwordRequired", "raiseHandUpdated", "readyToClose", "screenSharingStatusChanged",
    "subjectChange", "tileViewChanged", "videoConferenceJoined", "videoConferenceLeft", "videoMuteStatusChanged",
  ];

  /** <ting-room room="choir" name="Ada" muted no-camera no-check>; the events are those above, with `detail`. */
  class TingRoom extends HTMLElement {
    #api = null;

    connectedCallback() {
      const flag = (name) => (this.hasAttribute(name) ? true : undefined);
      this.style.display ||= "block";
      this.#api = new JitsiMeetExternalAPI(this.getAttribute("server") ?? "", {
        roomName: this.getAttribute("room"),
        parentNode: this,
        userInfo: { displayName: this.getAttribute("name") ?? "" },
        configOverwrite: {
          startWithAudioMuted: flag("muted"),
          startWithVideoMuted: flag("no-camera"),
          prejoinPageEnabled: !this.hasAttribute("no-check"),
        },
      });
      for (const name of EVENTS) this.#api.on(name, (detail) => this.dispatchEvent(new CustomEvent(name, { detail })));
    }

    disconnectedCallback() {
      this.#api?.dispose();
      this.#api = null;
    }

    /** Null while the element is in no document. */
    get api() {
      return this.#api;
    }

    command(name, ...args) {
      this.#api?.executeCommand(name, ...args);
    }
  }

  window.JitsiMeetExternalAPI = JitsiMeetExternalAPI;
  if (customElements.get("ting-room") === undefined) customElements.define("ting-room", TingRoom);
})();
