/** In place of webrtc-adapter: what it mends is in browsers older than those that this page is built for. */

export default {};
