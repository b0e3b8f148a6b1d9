//! A DHCPv4 client (RFC 2131) as a pure state machine: messages and the time in, messages and orders out.
//!
//! Knows no socket and no interface; [`super::worker`] carries out what it says. Identifies itself by the MAC alone, as the
//! firmware did before it. Offers are not probed by ARP: the server's word is good enough for a ramdisk.

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// What a server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) routes: Vec<Route>,
    pub(super) name_servers: Vec<Ipv4Addr>,
    pub(super) search: Vec<String>,
    pub(super) host_name: Option<String>,
    pub(super) mtu: Option<u32>,
    /// `None`: for ever.
    pub(super) lifetime: Option<Duration>,
    server: Ipv4Addr,
    renew: Duration,
    rebind: Duration,
}

/// A way to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) network: Ipv4Addr,
    pub(super) prefix: u8,
    /// `None`: on the link itself.
    pub(super) gateway: Option<Ipv4Addr>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Use this lease from now on, instead of any earlier one.
    Configure(Lease),
    /// Send a message: to everybody, or to the server that gave the lease.
    Send(Box<Message>, Option<Ipv4Addr>),
    /// Take the address away.
    Withdraw,
}

/// The client of one interface.
#[derive(Debug)]
pub(super) struct Client {
    mac: [u8; 6],
    xid: u32,
    began: Instant,
    deadline: Instant,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Bound(Lease, Instant),
    Rebinding(Lease, Instant),
    Renewing(Lease, Instant),
    Requesting { offer: Lease, tries: u32 },
    Selecting { tries: u32 },
}

impl Client {
    /// A client that has something to say at once.
    pub(super) fn new(mac: [u8; 6], now: Instant) -> Self {
        Self {
            mac,
            xid: Message::default().xid(), // random
            began: now,
            deadline: now,
            state: State::Selecting { tries: 0 },
        }
    }

    /// When [`Client::time`] is to be called.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether a lease is in use and no answer is awaited.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound(..))
    }

    /// The deadline is reached.
    pub(super) fn time(&mut self, now: Instant) -> Vec<Action> {
        match self.state.clone() {
            State::Selecting { tries } => {
                self.state = State::Selecting { tries: tries + 1 };
                self.deadline = now + pause(tries);
                vec![self.discover(now)]
            }
            State::Requesting { tries, .. } if tries >= MOST_REQUESTS => self.start_over(now),
            State::Requesting { offer, tries } => {
                self.deadline = now + pause(tries);
                let request = self.request(&offer, now);
                self.state = State::Requesting {
                    offer,
                    tries: tries + 1,
                };
                vec![request]
            }
            State::Bound(lease, since) => {
                self.xid = self.xid.wrapping_add(1);
                self.state = State::Renewing(lease, since);
                self.time(now)
            }
            State::Renewing(lease, since) if now >= since + lease.rebind => {
                self.state = State::Rebinding(lease, since);
                self.time(now)
            }
            State::Renewing(lease, since) => {
                self.deadline = between(now, since + lease.rebind);
                vec![self.extend(&lease, Some(lease.server), now)]
            }
            State::Rebinding(lease, since) => {
                let end = since + lease.lifetime.unwrap_or(FOREVER);
                if now >= end {
                    let mut actions = vec![Action::Withdraw];
                    actions.extend(self.start_over(now));
                    return actions;
                }
                self.deadline = between(now, end);
                vec![self.extend(&lease, None, now)]
            }
        }
    }

    /// A message came; those for others, or out of turn, change nothing.
    pub(super) fn receive(&mut self, message: &Message, now: Instant) -> Vec<Action> {
        if message.xid() != self.xid || message.chaddr() != self.mac {
            return Vec::new();
        }
        let kind = message.opts().msg_type();
        match (self.state.clone(), kind) {
            (State::Selecting { .. }, Some(MessageType::Offer)) => {
                let Some(offer) = Lease::from_message(message) else {
                    return Vec::new();
                };
                self.state = State::Requesting { offer, tries: 0 };
                self.time(now)
            }
            (
                State::Requesting { .. } | State::Renewing(..) | State::Rebinding(..),
                Some(MessageType::Ack),
            ) => {
                let Some(lease) = Lease::from_message(message) else {
                    return Vec::new();
                };
                self.deadline = now + lease.renew;
                self.state = State::Bound(lease.clone(), now);
                vec![Action::Configure(lease)]
            }
            (State::Requesting { .. }, Some(MessageType::Nak)) => self.start_over(now),
            (State::Renewing(..) | State::Rebinding(..), Some(MessageType::Nak)) => {
                let mut actions = vec![Action::Withdraw];
                actions.extend(self.start_over(now));
                actions
            }
            _ => Vec::new(),
        }
    }

    fn start_over(&mut self, now: Instant) -> Vec<Action> {
        self.xid = self.xid.wrapping_add(1);
        self.began = now;
        // Not at once: a server that says no to each request must not be flooded.
        self.state = State::Selecting { tries: 0 };
        self.deadline = now + pause(0);
        Vec::new()
    }

    fn discover(&self, now: Instant) -> Action {
        let mut message = self.message(MessageType::Discover, now);
        message.set_flags(Flags::default().set_broadcast());
        Action::Send(Box::new(message), None)
    }

    fn request(&self, offer: &Lease, now: Instant) -> Action {
        let mut message = self.message(MessageType::Request, now);
        message.set_flags(Flags::default().set_broadcast());
        let options = message.opts_mut();
        options.insert(DhcpOption::RequestedIpAddress(offer.address));
        options.insert(DhcpOption::ServerIdentifier(offer.server));
        Action::Send(Box::new(message), None)
    }

    fn extend(&self, lease: &Lease, server: Option<Ipv4Addr>, now: Instant) -> Action {
        let mut message = self.message(MessageType::Request, now);
        message.set_ciaddr(lease.address);
        Action::Send(Box::new(message), server)
    }

    fn message(&self, kind: MessageType, now: Instant) -> Message {
        let mut message = Message::default();
        message.set_xid(self.xid).set_chaddr(&self.mac);
        let seconds = now.saturating_duration_since(self.began).as_secs();
        message.set_secs(u16::try_from(seconds).unwrap_or(u16::MAX));
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::MaxMessageSize(LARGEST_MESSAGE));
        options.insert(DhcpOption::ParameterRequestList(WANTED.to_vec()));
        message
    }
}

impl Lease {
    /// What an offer or an acknowledgement gives; `None` when it lacks what a lease must have.
    fn from_message(message: &Message) -> Option<Self> {
        let address = message.yiaddr();
        let options = message.opts();
        let Some(DhcpOption::ServerIdentifier(server)) = options.get(OptionCode::ServerIdentifier)
        else {
            return None;
        };
        let usable = !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
        if !usable || address.is_broadcast() {
            return None;
        }
        let seconds = |code| match options.get(code) {
            Some(
                DhcpOption::AddressLeaseTime(seconds)
                | DhcpOption::Renewal(seconds)
                | DhcpOption::Rebinding(seconds),
            ) if *seconds < u32::MAX => Some(Duration::from_secs((*seconds).into())),
            _ => None,
        };
        let lifetime = seconds(OptionCode::AddressLeaseTime).map(|life| life.max(SHORTEST_LEASE));
        let whole = lifetime.unwrap_or(FOREVER);
        let rebind = seconds(OptionCode::Rebinding)
            .filter(|rebind| *rebind < whole)
            .unwrap_or(whole * 7 / 8);
        let renew = seconds(OptionCode::Renewal)
            .filter(|renew| *renew < rebind)
            .unwrap_or(rebind * 4 / 7);
        Some(Self {
            address,
            prefix: prefix(message, address),
            routes: routes(message),
            name_servers: match options.get(OptionCode::DomainNameServer) {
                Some(DhcpOption::DomainNameServer(servers)) => servers.clone(),
                _ => Vec::new(),
            },
            search: search(message),
            host_name: match options.get(OptionCode::Hostname) {
                Some(DhcpOption::Hostname(name)) => Some(name.clone()),
                _ => None,
            },
            mtu: match options.get(OptionCode::InterfaceMtu) {
                Some(DhcpOption::InterfaceMtu(mtu)) if *mtu >= SMALLEST_MTU => {
                    Some(u32::from(*mtu))
                }
                _ => None,
            },
            lifetime,
            server: *server,
            renew: renew.max(SHORTEST_RENEWAL),
            rebind: rebind.max(SHORTEST_RENEWAL * 2),
        })
    }
}

fn prefix(message: &Message, address: Ipv4Addr) -> u8 {
    let mask = match message.opts().get(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => u32::from(*mask).leading_ones(),
        // Without a mask the address's class decides (RFC 2132 section 3.3 leaves no other way).
        _ => match address.octets() {
            [0..=127, ..] => 8,
            [128..=191, ..] => 16,
            _ => 24,
        },
    };
    u8::try_from(mask).unwrap_or(32)
}

/// Classless routes replace the router option (RFC 3442).
fn routes(message: &Message) -> Vec<Route> {
    let options = message.opts();
    let classless = options.get(OptionCode::ClasslessStaticRoute);
    if let Some(DhcpOption::ClasslessStaticRoute(routes)) = classless {
        return routes
            .iter()
            .map(|(network, gateway)| Route {
                network: network.network(),
                prefix: network.prefix_len(),
                gateway: (!gateway.is_unspecified()).then_some(*gateway),
            })
            .collect();
    }
    let Some(DhcpOption::Router(routers)) = options.get(OptionCode::Router) else {
        return Vec::new();
    };
    let default = routers.first().map(|router| Route {
        network: Ipv4Addr::UNSPECIFIED,
        prefix: 0,
        gateway: Some(*router),
    });
    default.into_iter().collect()
}

fn search(message: &Message) -> Vec<String> {
    let options = message.opts();
    if let Some(DhcpOption::DomainSearch(names)) = options.get(OptionCode::DomainSearch) {
        return names.iter().map(ToString::to_string).collect();
    }
    match options.get(OptionCode::DomainName) {
        Some(DhcpOption::DomainName(name)) => vec![name.clone()],
        _ => Vec::new(),
    }
}

/// Quicker at first than RFC 2131 section 4.1 (4 s): a switch port that has just woken swallows the first message.
fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(4))
}

/// Halfway to `end`, but not sooner than a minute, nor after `end` (RFC 2131 section 4.4.5).
fn between(now: Instant, end: Instant) -> Instant {
    let left = end.saturating_duration_since(now);
    end.min(now + (left / 2).max(Duration::from_secs(60)))
}

const WANTED: &[OptionCode] = &[
    OptionCode::SubnetMask,
    OptionCode::Router,
    OptionCode::ClasslessStaticRoute,
    OptionCode::DomainNameServer,
    OptionCode::DomainName,
    OptionCode::DomainSearch,
    OptionCode::Hostname,
    OptionCode::InterfaceMtu,
    OptionCode::AddressLeaseTime,
    OptionCode::Renewal,
    OptionCode::Rebinding,
];
const MOST_REQUESTS: u32 = 4;
const LARGEST_MESSAGE: u16 = 1472;
/// RFC 791: every link carries that much. Smaller ones are mistakes.
const SMALLEST_MTU: u16 = 576;
const SHORTEST_LEASE: Duration = Duration::from_secs(60);
const SHORTEST_RENEWAL: Duration = Duration::from_secs(20);
/// Longer than any machine stays in its ramdisk.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

    fn answer(client: &Client, kind: MessageType) -> Message {
        let mut message = Message::default();
        message
            .set_xid(client.xid)
            .set_chaddr(&MAC)
            .set_yiaddr(ADDRESS);
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ServerIdentifier(SERVER));
        options.insert(DhcpOption::SubnetMask([255, 255, 255, 0].into()));
        options.insert(DhcpOption::AddressLeaseTime(3600));
        message
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The kind, destination and own address of the messages sent.
    fn sent(actions: &[Action]) -> Vec<(MessageType, Option<Ipv4Addr>, Ipv4Addr)> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Send(message, to) => {
                    Some((message.opts().msg_type().unwrap(), *to, message.ciaddr()))
                }
                _ => None,
            })
            .collect()
    }

    fn bound(now: Instant) -> Client {
        let mut client = Client::new(MAC, now);
        client.time(now);
        client.receive(&answer(&client, MessageType::Offer), now);
        let actions = client.receive(&answer(&client, MessageType::Ack), now);
        assert!(matches!(actions.as_slice(), [Action::Configure(_)]));
        assert!(client.is_bound());
        client
    }

    const DISCOVER: (MessageType, Option<Ipv4Addr>, Ipv4Addr) =
        (MessageType::Discover, None, Ipv4Addr::UNSPECIFIED);
    const REQUEST: (MessageType, Option<Ipv4Addr>, Ipv4Addr) =
        (MessageType::Request, None, Ipv4Addr::UNSPECIFIED);

    #[test]
    fn it_asks_everybody_less_and_less_often() {
        let start = Instant::now();
        let mut client = Client::new(MAC, start);
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert_eq!(sent(&client.time(now)), [DISCOVER]);
            pauses.push(client.deadline().duration_since(now).as_secs());
            now = client.deadline();
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16]);
    }

    #[test]
    fn an_offer_is_requested_with_its_address_and_server() {
        let now = Instant::now();
        let mut client = Client::new(MAC, now);
        client.time(now);
        let actions = client.receive(&answer(&client, MessageType::Offer), now);
        assert_eq!(sent(&actions), [REQUEST]);
        let [Action::Send(request, None)] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        let options = request.opts();
        assert_eq!(
            options.get(OptionCode::RequestedIpAddress),
            Some(&DhcpOption::RequestedIpAddress(ADDRESS))
        );
        assert_eq!(
            options.get(OptionCode::ServerIdentifier),
            Some(&DhcpOption::ServerIdentifier(SERVER))
        );
        assert!(request.flags().broadcast());
    }

    #[test]
    fn requests_without_an_answer_lead_back_to_the_beginning() {
        let mut now = Instant::now();
        let mut client = Client::new(MAC, now);
        client.time(now);
        client.receive(&answer(&client, MessageType::Offer), now);
        for _ in 1..MOST_REQUESTS {
            now = client.deadline();
            assert_eq!(sent(&client.time(now)), [REQUEST]);
        }
        now = client.deadline();
        assert_eq!(client.time(now), []);
        assert_eq!(client.state, State::Selecting { tries: 0 });
    }

    #[test]
    fn a_refused_request_starts_over_with_a_new_number() {
        let now = Instant::now();
        let mut client = Client::new(MAC, now);
        client.time(now);
        client.receive(&answer(&client, MessageType::Offer), now);
        let xid = client.xid;
        assert_eq!(client.receive(&answer(&client, MessageType::Nak), now), []);
        assert_eq!(client.state, State::Selecting { tries: 0 });
        assert_ne!(client.xid, xid);
        assert_eq!(client.deadline(), now + seconds(1));
    }

    #[test]
    fn a_lease_is_renewed_at_its_server_after_half_its_time() {
        let start = Instant::now();
        let mut client = bound(start);
        assert_eq!(client.deadline(), start + seconds(1800));
        let now = client.deadline();
        assert_eq!(
            sent(&client.time(now)),
            [(MessageType::Request, Some(SERVER), ADDRESS)]
        );
        let actions = client.receive(&answer(&client, MessageType::Ack), now);
        assert!(matches!(actions.as_slice(), [Action::Configure(_)]));
        assert_eq!(client.deadline(), now + seconds(1800));
    }

    #[test]
    fn a_silent_server_leads_to_everybody_and_then_to_the_leases_end() {
        let start = Instant::now();
        let mut client = bound(start);
        let mut destinations = Vec::new();
        loop {
            let now = client.deadline();
            let actions = client.time(now);
            if actions == [Action::Withdraw] {
                assert_eq!(now, start + seconds(3600));
                break;
            }
            destinations.extend(sent(&actions).iter().map(|(_, to, _)| *to));
        }
        destinations.dedup();
        assert_eq!(destinations, [Some(SERVER), None]);
        assert_eq!(client.state, State::Selecting { tries: 0 });
    }

    #[test]
    fn a_refused_renewal_takes_the_address_away() {
        let start = Instant::now();
        let mut client = bound(start);
        let now = client.deadline();
        client.time(now);
        assert_eq!(
            client.receive(&answer(&client, MessageType::Nak), now),
            [Action::Withdraw]
        );
    }

    #[test]
    fn messages_for_others_change_nothing() {
        let now = Instant::now();
        let mut client = Client::new(MAC, now);
        client.time(now);
        let mut other_transaction = answer(&client, MessageType::Offer);
        other_transaction.set_xid(client.xid.wrapping_add(1));
        let mut other_machine = answer(&client, MessageType::Offer);
        other_machine.set_chaddr(&[1; 6]);
        let mut no_server = answer(&client, MessageType::Offer);
        no_server.opts_mut().remove(OptionCode::ServerIdentifier);
        let mut no_address = answer(&client, MessageType::Offer);
        no_address.set_yiaddr(Ipv4Addr::UNSPECIFIED);
        let out_of_turn = answer(&client, MessageType::Ack);
        for message in [
            other_transaction,
            other_machine,
            no_server,
            no_address,
            out_of_turn,
        ] {
            assert_eq!(client.receive(&message, now), []);
        }
        assert_eq!(client.state, State::Selecting { tries: 1 });
    }

    #[test]
    fn everything_a_server_says_is_in_the_lease() {
        let now = Instant::now();
        let client = Client::new(MAC, now);
        let mut message = answer(&client, MessageType::Ack);
        let options = message.opts_mut();
        options.insert(DhcpOption::Router(vec![SERVER]));
        options.insert(DhcpOption::DomainNameServer(vec![SERVER]));
        options.insert(DhcpOption::DomainName("example.org".into()));
        options.insert(DhcpOption::Hostname("node-1".into()));
        options.insert(DhcpOption::InterfaceMtu(9000));
        assert_eq!(
            Lease::from_message(&message),
            Some(Lease {
                address: ADDRESS,
                prefix: 24,
                routes: vec![Route {
                    network: Ipv4Addr::UNSPECIFIED,
                    prefix: 0,
                    gateway: Some(SERVER)
                }],
                name_servers: vec![SERVER],
                search: vec!["example.org".into()],
                host_name: Some("node-1".into()),
                mtu: Some(9000),
                lifetime: Some(seconds(3600)),
                server: SERVER,
                renew: seconds(1800),
                rebind: seconds(3150),
            })
        );
    }

    #[test]
    fn an_endless_lease_has_no_lifetime_and_odd_times_are_corrected() {
        let now = Instant::now();
        let client = Client::new(MAC, now);
        let mut message = answer(&client, MessageType::Ack);
        let options = message.opts_mut();
        options.insert(DhcpOption::AddressLeaseTime(u32::MAX));
        let lease = Lease::from_message(&message).unwrap();
        assert_eq!(lease.lifetime, None);
        let options = message.opts_mut();
        options.insert(DhcpOption::AddressLeaseTime(0));
        options.insert(DhcpOption::Renewal(5000));
        options.insert(DhcpOption::Rebinding(4000));
        let lease = Lease::from_message(&message).unwrap();
        assert_eq!(
            (lease.lifetime, lease.renew, lease.rebind),
            (
                Some(SHORTEST_LEASE),
                seconds(30),
                Duration::from_millis(52_500)
            )
        );
    }
}
