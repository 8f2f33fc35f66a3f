/** In place of protobuf's JSON: the messages of a call are binary. */

function refuse(): never {
  throw new Error("messages have no JSON here");
}

export function makeJsonFormat() {
  return { makeReadOptions: refuse, makeWriteOptions: refuse, readMessage: refuse, writeMessage: refuse, readScalar: refuse, writeScalar: refuse, debug: String };
}
