//! A bad line between clients and a server: a UDP relay that is slow, late and loses, as it is told on standard input.
//!
//! `ting-line SERVER SEED` says `port N` and relays what comes to that port to SERVER (address and port), one socket per
//! client. Each line of input is `up` or `down` (towards the clients) and conditions; they hold from then on. It ends with
//! its input.
#![forbid(unsafe_code)]

mod conditions;

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::conditions::{Conditions, Direction};

/// How long the relay sleeps when nothing is due.
const IDLE: Duration = Duration::from_micros(300);
const MAX_DATAGRAM: usize = 65_536;

/// A datagram on its way: when it arrives, which came first, from which socket (None: the front), where to, what.
type Flying = Reverse<(Instant, u64, Option<SocketAddr>, SocketAddr, Vec<u8>)>;

struct Relay {
    server: SocketAddr,
    front: UdpSocket,
    /// By client.
    backs: HashMap<SocketAddr, UdpSocket>,
    up: Direction,
    down: Direction,
    flying: BinaryHeap<Flying>,
    count: u64,
    buffer: Vec<u8>,
}

impl Relay {
    fn new(server: SocketAddr, seed: u64) -> io::Result<Self> {
        let front = UdpSocket::bind(("127.0.0.1", 0))?;
        front.set_nonblocking(true)?;
        Ok(Self {
            server,
            front,
            backs: HashMap::new(),
            up: Direction::new(seed),
            down: Direction::new(seed ^ 1),
            flying: BinaryHeap::new(),
            count: 0,
            buffer: vec![0; MAX_DATAGRAM],
        })
    }

    fn set(&mut self, line: &str) -> Result<(), String> {
        let (name, words) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let conditions = Conditions::parse(words).ok_or_else(|| format!("unknown conditions: {words}"))?;
        match name {
            "up" => self.up.conditions = conditions,
            "down" => self.down.conditions = conditions,
            _ => return Err(format!("neither up nor down: {name}")),
        }
        Ok(())
    }

    /// Takes in what has come and lets arrive what is due. False when there was nothing to do.
    fn turn(&mut self) -> io::Result<bool> {
        let mut is_busy = false;
        let now = Instant::now();
        while let Ok((size, client)) = self.front.recv_from(&mut self.buffer) {
            is_busy = true;
            if let Entry::Vacant(place) = self.backs.entry(client) {
                let back = UdpSocket::bind(("127.0.0.1", 0))?;
                back.set_nonblocking(true)?;
                place.insert(back);
            }
            self.count += 1;
            if let (Some(arrival), Some(data)) = (self.up.carry(now, size), self.buffer.get(..size)) {
                self.flying.push(Reverse((arrival, self.count, Some(client), self.server, data.to_vec())));
            }
        }
        for (client, back) in &self.backs {
            while let Ok((size, _)) = back.recv_from(&mut self.buffer) {
                is_busy = true;
                self.count += 1;
                if let (Some(arrival), Some(data)) = (self.down.carry(now, size), self.buffer.get(..size)) {
                    self.flying.push(Reverse((arrival, self.count, None, *client, data.to_vec())));
                }
            }
        }
        while self.flying.peek().is_some_and(|Reverse(next)| next.0 <= now) {
            let Some(Reverse((_, _, from, to, data))) = self.flying.pop() else { break };
            let socket = from.and_then(|client| self.backs.get(&client)).unwrap_or(&self.front);
            // A full socket buffer is one more loss of a bad line.
            let _ = socket.send_to(&data, to);
            is_busy = true;
        }
        Ok(is_busy)
    }
}

fn run(mut relay: Relay, orders: &Receiver<String>) -> Result<(), String> {
    loop {
        match orders.try_recv() {
            Ok(line) => relay.set(&line)?,
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => (),
        }
        if !relay.turn().map_err(|error| error.to_string())? {
            thread::sleep(IDLE);
        }
    }
}

fn main() -> Result<(), String> {
    let usage = || "usage: ting-line SERVER SEED".to_owned();
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().and_then(|text| text.parse().ok()).ok_or_else(usage)?;
    let seed = arguments.next().and_then(|text| text.parse().ok()).ok_or_else(usage)?;
    let relay = Relay::new(server, seed).map_err(|error| error.to_string())?;
    let port = relay.front.local_addr().map_err(|error| error.to_string())?.port();
    let mut out = io::stdout();
    writeln!(out, "port {port}").and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    let (tell, orders) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                break;
            }
        }
    });
    run(relay, &orders)
}
