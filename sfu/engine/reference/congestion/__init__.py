"""How much a peer's line takes, from transport-wide feedback: what was sent (`history`), the delay that grows
(`delay`), what that means (`estimate`), and trying whether it is more (`probe`). Whole numbers only, so that both
engines agree."""
