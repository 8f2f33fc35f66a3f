"""How much a peer's line takes, from transport-wide feedback: what was sent (`history`), the delay that grows
(`delay`), what that means (`estimate`), trying whether it is more (`probe`), and not sending
faster (`pacer`). And of a publisher's line, seen from where its packets arrive (`brake`). Whole numbers only, so that
both engines agree."""
