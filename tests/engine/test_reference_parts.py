"""The reference engine's own parts, where a property says more than a scenario."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.reference.demux import DatagramKind, classify
from sfu.engine.reference.levels import LevelMeter
from sfu.engine.reference.nack import MAX_MISSING, MAX_TRIES, NackRegister
from sfu.engine.reference.policing import TokenBucket
from sfu.engine.reference.prng import SplitMix64
from sfu.engine.reference.reception import ReceptionStatistics
from sfu.engine.reference.sequence_map import HISTORY, NO_PLACE, SequenceMap
from sfu.engine.reference.twcc import MAX_PENDING, ArrivalRecorder

MS = 1_000_000
SECOND = 1_000_000_000


class TestSequenceMap:
    @given(
        st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=60, unique_by=lambda item: item[0]),
        st.integers(65_536, 200_000),
        st.integers(0, 100_000),
    )
    def test_numbers_are_unique_and_in_order(self, arrivals: list[tuple[int, bool]], base: int, first_out: int) -> None:
        """In any order of arrival, with any packets withheld."""
        numbers = SequenceMap(first_out)
        numbers.begin(base)
        out: dict[int, int] = {}
        for offset, forwarded in arrivals:
            in_number = base + offset
            place = numbers.place(in_number) if forwarded else numbers.withhold(in_number)
            if place != NO_PLACE:
                out[in_number] = place
        assert len(set(out.values())) == len(out)
        assert [out[key] for key in sorted(out)] == sorted(out.values())
        assert all(first_out <= place <= numbers.highest_out for place in out.values())

    @given(st.lists(st.booleans(), max_size=200))
    def test_in_order_there_is_no_hole(self, forwarded: list[bool]) -> None:
        numbers = SequenceMap(7)
        numbers.begin(1_000)
        out = []
        for in_number, goes in enumerate(forwarded, start=1_000):
            if goes:
                out.append(numbers.place(in_number))
            else:
                assert numbers.withhold(in_number) == NO_PLACE
        assert out == list(range(7, 7 + len(out)))

    @given(st.lists(st.tuples(st.integers(0, 1_000_000), st.integers(1, 20)), min_size=1, max_size=20))
    def test_every_source_goes_on_where_the_last_one_ended(self, sources: list[tuple[int, int]]) -> None:
        numbers = SequenceMap(100)
        out = []
        for first, count in sources:
            numbers.begin(first)
            out += [numbers.place(first + n) for n in range(count)]
        assert out == list(range(100, 100 + len(out)))

    def test_before_the_beginning_there_is_no_place(self) -> None:
        numbers = SequenceMap(0)
        numbers.begin(50)
        assert numbers.place(49) == NO_PLACE
        assert numbers.withhold(49) == NO_PLACE

    def test_history_is_bounded(self) -> None:
        numbers = SequenceMap(0)
        numbers.begin(0)
        for n in range(1, 4 * HISTORY, 2):
            numbers.place(n + 1)
            numbers.withhold(n + 2)
        assert numbers.place(1) == NO_PLACE

    @given(st.integers(0, 10**6), st.integers(1, 10**6))
    def test_rebase_keeps_the_number_on_the_wire(self, first_out: int, count: int) -> None:
        numbers = SequenceMap(65_536 + first_out)
        numbers.begin(5)
        numbers.place(5 + count)
        before = numbers.highest_out
        numbers.rebase(65_536, 65_536)
        assert numbers.highest_out % 65_536 == before % 65_536
        assert 65_536 <= numbers.highest_out < 131_072
        assert numbers.place(6 + count) == numbers.highest_out
        assert numbers.place(5 + count) == NO_PLACE


class TestTokenBucket:
    @given(st.integers(1, 1_000), st.lists(st.tuples(st.integers(0, SECOND), st.integers(1, 50)), max_size=200))
    def test_never_more_than_rate_and_burst(self, rate: int, demands: list[tuple[int, int]]) -> None:
        bucket = TokenBucket(rate)
        now = taken = 0
        for step, tokens in demands:
            now += step
            if bucket.allows(now, tokens):
                bucket.take(tokens)
                taken += tokens
        assert taken <= rate + rate * now / SECOND

    def test_zero_is_no_limit(self) -> None:
        bucket = TokenBucket(0)
        for _ in range(1_000):
            assert bucket.allows(0, 10**9)
            bucket.take(10**9)


class TestNackRegister:
    @given(st.lists(st.tuples(st.integers(1, 600), st.integers(0, 50 * MS)), max_size=60))
    def test_bounded_and_asks_at_most_ten_times(self, gaps: list[tuple[int, int]]) -> None:
        register = NackRegister()
        asked: dict[int, int] = {}
        now, highest = 0, 65_536
        for gap, step in gaps:
            now += step
            for ext_seq in register.due(now, packet_followed=True):
                asked[ext_seq] = asked.get(ext_seq, 0) + 1
            if gap > 1:
                register.add_gap(now, highest + 1, highest + gap)
            highest += gap
            assert len(register) <= MAX_MISSING
        for _ in range(200):
            now += 10 * MS
            for ext_seq in register.due(now, packet_followed=False):
                asked[ext_seq] = asked.get(ext_seq, 0) + 1
        assert len(register) == 0
        assert all(count <= MAX_TRIES for count in asked.values())


class TestReceptionStatistics:
    def test_fraction_is_of_the_interval(self) -> None:
        reception = ReceptionStatistics()
        reception.begin(65_536)
        for n in range(0, 100, 2):
            reception.add(65_536 + n, 10)
        block = reception.report(1, 0, 0)
        assert (block.packets_lost, block.fraction_lost) == (49, 49 * 256 // 99)
        for n in range(99, 200):
            reception.add(65_536 + n, 10)
        block = reception.report(1, 0, 0)
        assert (block.packets_lost, block.fraction_lost) == (49, 0)

    def test_jump_is_no_loss(self) -> None:
        reception = ReceptionStatistics()
        reception.begin(65_536)
        reception.add(65_536, 10)
        reception.begin(100_000)
        reception.add(100_000, 10)
        assert reception.packets_lost == 0
        assert reception.expected == 2


class TestArrivalRecorder:
    def test_pending_arrivals_are_bounded(self) -> None:
        recorder = ArrivalRecorder()
        for n in range(3 * MAX_PENDING):
            recorder.record(n, n & 0xFFFF)
        packets = recorder.build(SECOND, 1, 2)
        assert all(len(packet) <= 1_200 for packet in packets)
        assert not recorder.is_due(10 * SECOND)

    @given(st.lists(st.integers(0, 65_535), min_size=1, max_size=200))
    def test_any_numbers_make_feedback(self, numbers: list[int]) -> None:
        recorder = ArrivalRecorder()
        for n, number in enumerate(numbers):
            recorder.record(n * MS, number)
        for packet in recorder.build(SECOND, 1, 2):
            assert len(packet) % 4 == 0
            assert len(packet) <= 1_200


class TestLevelMeter:
    @given(st.lists(st.integers(0, 127), min_size=1, max_size=100))
    def test_mean_lies_between_loudest_and_quietest_active(self, levels: list[int]) -> None:
        meter = LevelMeter()
        for n, level in enumerate(levels):
            meter.add(level, 960 * n, 48_000)
        active = [level for level in levels if level <= 45]
        level, active_ms = meter.take()
        assert active_ms == 20 * len(active)
        assert min(active) <= level <= max(active) if active else level == 127

    @pytest.mark.parametrize(("step", "expected_ms"), [(480, 10), (2880, 60), (48_000, 20), (0, 20), (-960, 20)])
    def test_packets_last_as_long_as_their_timestamps_say(self, step: int, expected_ms: int) -> None:
        meter = LevelMeter()
        meter.add(10, 1_000_000, 48_000)
        meter.take()
        meter.add(10, (1_000_000 + step) & 0xFFFFFFFF, 48_000)
        assert meter.take() == (10, expected_ms)


def test_demux_covers_every_first_byte() -> None:
    kinds = [classify(bytes((first, 96)) + bytes(10)) for first in range(256)]
    assert [kinds.count(kind) for kind in DatagramKind] == [256 - 4 - 44 - 64, 4, 44, 64, 0]
    assert [classify(bytes((128, second))) for second in (191, 192, 223, 224)] == [
        DatagramKind.RTP,
        DatagramKind.RTCP,
        DatagramKind.RTCP,
        DatagramKind.RTP,
    ]
    assert classify(b"") is DatagramKind.NOT_RTC
    assert classify(b"\x80") is DatagramKind.RTP


def test_splitmix64_is_the_published_one() -> None:
    """First outputs for seed 1234567, as in the reference implementation's test vectors."""
    random = SplitMix64(1_234_567)
    assert [random.next_u64() for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]
