import { expect, it } from "vitest";
import { answerOf } from "./openid";

it.each([
  ["?state=a&code=b&iss=https%3A%2F%2Fid.example", { state: "a", code: "b", iss: "https://id.example" }],
  ["?code=b&state=a", { state: "a", code: "b", iss: "" }],
  ["?state=a&error=access_denied", null],
  ["?code=b", null],
  ["", null],
])("the answer in %s", (search, expected) => {
  expect(answerOf(search)).toEqual(expected);
});
