#!/bin/sh
# sctp-proto 0.10.8: two ends that begin at once, each with the other's INIT on its way, do not end up with one association. RFC 9260
# (section 5.2.1) lets an INIT that meets a begun association be answered within it, and WebRTC's ends both begin. Here each end
# answers it with a second association, and both are connected: what one end opens in the one that it began comes out of the
# other end's accepted one. Where only one begins there is one. On a virtual clock, without a network.
set -eu
command -v cargo >/dev/null || { echo "needs cargo" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "begin"
version = "0.0.0"
edition = "2021"
[dependencies]
bytes = "=1.11.0"
sctp-proto = "=0.10.8"
TOML
cat >src/main.rs <<'RUST'
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, ServerConfig,
};

const PACE: Duration = Duration::from_millis(20);

struct End {
    endpoint: Endpoint,
    address: SocketAddr,
    associations: HashMap<AssociationHandle, Association>,
    connected: usize,
}

impl End {
    fn new(port: u16) -> Self {
        Self {
            endpoint: Endpoint::new(Arc::new(EndpointConfig::new()), Some(Arc::new(ServerConfig::default()))),
            address: SocketAddr::from(([192, 0, 2, 1], port)),
            associations: HashMap::new(),
            connected: 0,
        }
    }

    fn begin(&mut self, other: SocketAddr) {
        let (handle, association) = self.endpoint.connect(ClientConfig::default(), other).unwrap();
        self.associations.insert(handle, association);
    }

    fn take(&mut self, now: Instant, from: SocketAddr, packet: bytes::Bytes) {
        match self.endpoint.handle(now, from, None, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.associations.insert(handle, association);
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some(association) = self.associations.get_mut(&handle) {
                    association.handle_event(event);
                }
            }
            None => (),
        }
    }

    /// What is to be sent at `now`.
    fn work(&mut self, now: Instant) -> Vec<bytes::Bytes> {
        let mut out = Vec::new();
        let mut payload = |payload| if let Payload::RawEncode(packets) = payload { out.extend(packets) };
        for (handle, association) in &mut self.associations {
            if association.poll_timeout().is_some_and(|due| due <= now) {
                association.handle_timeout(now);
            }
            while let Some(event) = association.poll_endpoint_event() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    association.handle_event(event);
                }
            }
            while let Some(event) = association.poll() {
                self.connected += usize::from(matches!(event, Event::Connected));
            }
            while let Some(transmit) = association.poll_transmit(now) {
                payload(transmit.payload);
            }
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            payload(transmit.payload);
        }
        out
    }
}

/// How often each end said that it is connected, within so many seconds.
fn connected(both_begin: bool, seconds: u32) -> (usize, usize) {
    let (mut one, mut other) = (End::new(5001), End::new(5002));
    one.begin(other.address);
    if both_begin {
        other.begin(one.address);
    }
    let mut now = Instant::now();
    for _ in 0..seconds * 50 {
        let (from_one, from_other) = (one.work(now), other.work(now));
        now += PACE;
        for packet in from_one {
            other.take(now, one.address, packet);
        }
        for packet in from_other {
            one.take(now, other.address, packet);
        }
    }
    (one.connected, other.connected)
}

fn main() {
    println!("one begins: {:?}; both begin: {:?}", connected(false, 5), connected(true, 60));
}
RUST
said=$(cargo run --quiet)
# How often an end said that it is connected: each of the two.
echo "$said"
[ "$said" = "one begins: (1, 1); both begin: (2, 2)" ]
