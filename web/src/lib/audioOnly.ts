import { createContext } from "react";

/** Whether the cameras of others are left away. What has no picture on the page is not sent: the client library sees to it. */
export const AudioOnly = createContext(false);
