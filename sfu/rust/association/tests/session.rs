//! Two sessions with DTLS records between them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use ting_association::fuzzing::options;
use ting_association::records::{Session, Suite};
use ting_association::{
    DataSession, Event, Kind, MAX_WAITING_BYTES, MAX_WAITING_CHUNKS, MAX_WAITING_LOSSY_BYTES, Sent,
};

const MS: u64 = 1_000_000;

struct Ends {
    ends: [DataSession; 2],
    now_ns: u64,
    datagrams: usize,
}

impl Ends {
    /// What has happened is for the caller to take.
    fn begun() -> Self {
        let ends = [true, false].map(|is_client| {
            let session = Session {
                suite: Suite::Aes128Gcm,
                is_client,
                master_secret: &[7; 48],
                client_random: &[1; 32],
                server_random: &[2; 32],
                used_nonce: 5,
            };
            DataSession::new(0, &session, options(is_client)).unwrap()
        });
        let mut made = Self { ends, now_ns: 0, datagrams: 0 };
        (0..60).for_each(|_| made.step(50 * MS));
        made
    }

    fn connected() -> Self {
        let mut made = Self::begun();
        assert_eq!([made.taken(0), made.taken(1)], [[Event::Ready], [Event::Ready]]);
        assert!(made.ends.iter_mut().all(DataSession::is_ready));
        made
    }

    fn step(&mut self, step_ns: u64) {
        self.now_ns += step_ns;
        for end in &mut self.ends {
            end.handle_timeout(self.now_ns);
        }
        loop {
            let mut is_quiet = true;
            for from in 0..2 {
                let (mut sealed, mut ends) = (Vec::new(), Vec::new());
                self.ends[from].poll_datagrams(self.now_ns, &mut sealed, &mut ends);
                is_quiet &= !self.pass(from, &sealed, &ends);
            }
            if is_quiet {
                break;
            }
        }
    }

    fn pass(&mut self, from: usize, sealed: &[u8], ends: &[usize]) -> bool {
        let mut begin = 0;
        for end in ends {
            self.datagrams += 1;
            self.ends[1 - from].handle_datagram(self.now_ns, &sealed[begin..*end]);
            begin = *end;
        }
        !ends.is_empty()
    }

    fn taken(&mut self, end: usize) -> Vec<Event> {
        std::iter::from_fn(|| self.ends[end].take_event()).collect()
    }
}

fn sizes(events: &[Event], wanted: Kind) -> Vec<usize> {
    let all = events.iter().filter_map(|event| match event {
        Event::Message(kind, data) if *kind == wanted => Some(data.len()),
        _ => None,
    });
    all.collect()
}

#[test]
fn reliable_messages_that_nobody_takes_make_the_peer_wait_and_others_do_not_wait_for_them() {
    let mut both = Ends::connected();
    both.taken(1);
    both.ends[1].set_reading(false);
    let message = vec![3; 50_000];
    let mut sent = 0;
    for _ in 0..200 {
        sent += usize::from(both.ends[0].send(Kind::Reliable, &message) == Sent::Queued);
        both.step(10 * MS);
    }
    let taken_in = sent * message.len() - both.ends[0].unsent_bytes(Kind::Reliable);
    assert!((MAX_WAITING_BYTES..MAX_WAITING_BYTES + 1_300_000).contains(&taken_in), "{taken_in}");
    assert!(both.ends[0].unsent_bytes(Kind::Reliable) > 100_000);
    assert!(!both.ends[1].has_events());
    both.ends[1].set_reading(true);
    let mut got = Vec::new();
    for _ in 0..400 {
        got.extend(sizes(&both.taken(1), Kind::Reliable));
        both.step(100 * MS);
    }
    assert_eq!(got, vec![message.len(); sent]);
    assert_eq!(both.ends[0].unsent_bytes(Kind::Reliable), 0);
}

#[test]
fn small_messages_that_nobody_takes_end_nothing_and_arrive_later() {
    let mut both = Ends::connected();
    both.taken(1);
    both.ends[1].set_reading(false);
    let mut sent = 0;
    for _ in 0..40_000 {
        sent += usize::from(both.ends[0].send(Kind::Reliable, b"0123456789") == Sent::Queued);
        if sent % 50 == 0 {
            both.step(MS);
        }
    }
    (0..100).for_each(|_| both.step(100 * MS));
    // More than may wait on either side of the receive buffer's end.
    assert!(sent > MAX_WAITING_BYTES / 110 + 2 * MAX_WAITING_CHUNKS, "{sent}");
    assert!(both.ends[0].unsent_bytes(Kind::Reliable) > 0);
    assert!(both.ends[1].is_ready());
    both.ends[1].set_reading(true);
    let mut got = 0;
    for _ in 0..2000 {
        got += sizes(&both.taken(1), Kind::Reliable).len();
        both.step(100 * MS);
    }
    assert_eq!(got, sent);
}

#[test]
fn lossy_messages_pass_while_reliable_ones_are_held() {
    let mut both = Ends::connected();
    both.taken(1);
    both.ends[1].set_reading(false);
    both.ends[0].send(Kind::Reliable, b"held");
    both.ends[0].send(Kind::Lossy, b"passes");
    both.step(10 * MS);
    assert_eq!(both.taken(1), [Event::Message(Kind::Lossy, b"passes".to_vec())]);
    both.ends[1].set_reading(true);
    assert_eq!(both.taken(1), [Event::Message(Kind::Reliable, b"held".to_vec())]);
}

#[test]
fn lossy_messages_that_nobody_takes_are_dropped_and_counted_at_once() {
    let mut both = Ends::connected();
    both.taken(1);
    let sent = 2 * MAX_WAITING_LOSSY_BYTES / 50_000;
    for _ in 0..sent {
        assert_eq!(both.ends[0].send(Kind::Lossy, &vec![0; 50_000]), Sent::Queued);
        both.step(10 * MS);
    }
    let events = both.taken(1);
    let kept = sizes(&events, Kind::Lossy).len();
    assert!((MAX_WAITING_LOSSY_BYTES / 51_000..=MAX_WAITING_LOSSY_BYTES / 50_000).contains(&kept), "{kept}");
    let dropped = u64::try_from(sent - kept).unwrap();
    assert_eq!(events[0], Event::Count("data_not_taken", dropped));
}

#[test]
fn nothing_reliable_overtakes_what_waits_for_the_news_that_a_channel_is_there() {
    let mut both = Ends::begun();
    let end = &mut both.ends[1];
    assert!(!end.is_ready());
    assert_eq!(end.send(Kind::Reliable, b"later"), Sent::NoChannel);
    assert_eq!(end.send(Kind::Lossy, b"now"), Sent::Queued);
    assert_eq!(end.take_event(), Some(Event::Ready));
    assert!(end.is_ready());
    assert_eq!(end.send(Kind::Reliable, b"first"), Sent::Queued);
}

#[test]
fn a_close_tells_the_peers_sctp_and_its_session_after_what_was_said_before() {
    let mut both = Ends::connected();
    both.ends[0].send(Kind::Reliable, b"the last");
    both.step(MS);
    let (mut sealed, mut ends) = (Vec::new(), Vec::new());
    both.ends[0].close(both.now_ns, &mut sealed, &mut ends);
    assert_eq!(ends.len(), 2);
    assert!(!both.ends[1].handle_datagram(both.now_ns, &sealed[..ends[0]]));
    assert!(!both.ends[1].handle_datagram(both.now_ns, &sealed[ends[0]..]));
    both.step(MS);
    assert!(both.ends[1].has_events());
    let last = Event::Message(Kind::Reliable, b"the last".to_vec());
    assert_eq!(both.taken(1), [Event::Closed, last, Event::Goodbye]);
    assert!(!both.ends[1].is_ready() && !both.ends[1].has_events());
}

#[test]
fn a_goodbye_is_told_where_messages_are_left_for_later() {
    let mut both = Ends::connected();
    both.ends[1].set_reading(false);
    both.ends[0].send(Kind::Reliable, b"for later");
    both.step(MS);
    let (mut sealed, mut ends) = (Vec::new(), Vec::new());
    both.ends[0].close(both.now_ns, &mut sealed, &mut ends);
    both.ends[1].handle_datagram(both.now_ns, &sealed[ends[0]..]);
    assert_eq!(both.taken(1), [Event::Goodbye]);
}

#[test]
fn a_goodbye_is_told_after_what_the_receive_buffer_holds() {
    let mut both = Ends::connected();
    let message = vec![3; 60_000];
    let mut sent = 0;
    for _ in 0..100 {
        sent += usize::from(both.ends[0].send(Kind::Reliable, &message) == Sent::Queued);
        both.step(10 * MS);
    }
    let acknowledged = sent - both.ends[0].unsent_bytes(Kind::Reliable).div_ceil(message.len());
    assert!(acknowledged * message.len() > MAX_WAITING_BYTES + 500_000, "{acknowledged}");
    let (mut sealed, mut ends) = (Vec::new(), Vec::new());
    both.ends[0].close(both.now_ns, &mut sealed, &mut ends);
    // A peer whose session ends without a word of its SCTP.
    both.ends[1].handle_datagram(both.now_ns, &sealed[ends[0]..]);
    let mut events = Vec::new();
    while both.ends[1].has_events() {
        events.extend(both.taken(1));
        both.ends[1].poll_datagrams(both.now_ns, &mut sealed, &mut ends);
    }
    assert!(events.pop() == Some(Event::Goodbye));
    assert!(sizes(&events, Kind::Reliable).len() >= acknowledged);
}

#[test]
fn what_is_forged_is_counted_and_changes_nothing() {
    let mut both = Ends::connected();
    both.taken(1);
    for byte in 0..200 {
        both.ends[1].handle_datagram(both.now_ns, &[23, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 9, byte, 0, 2, 1, 1]);
    }
    both.step(MS);
    assert_eq!(both.taken(1), [Event::Count("dtls_errors", 200)]);
    both.ends[0].send(Kind::Reliable, b"as ever");
    both.step(MS);
    assert_eq!(both.taken(1), [Event::Message(Kind::Reliable, b"as ever".to_vec())]);
}
