//! A DHCPv6 client (RFC 8415) as a pure state machine: one address and name servers, or the name servers alone.
//!
//! Knows no socket and no interface; [`super::worker6`] carries out what it says. Whether to ask at all is the router's word.

use dhcproto::v6::{DhcpOption, IANA, Message, MessageType, ORO, OptionCode, Status};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

/// What is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// An address, and all else ("managed").
    Address,
    /// Only what is not an address ("other").
    Facts,
}

/// What a server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// The address and how long it may be used.
    pub(super) address: Option<(Ipv6Addr, Duration)>,
    pub(super) name_servers: Vec<Ipv6Addr>,
    pub(super) search: Vec<String>,
    server: Vec<u8>,
    renew: Duration,
    rebind: Duration,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Use this from now on, instead of anything earlier.
    Configure(Lease),
    /// Send a message to all servers of the link.
    Send(Box<Message>),
    /// Take the address away.
    Withdraw,
}

/// The client of one interface.
#[derive(Debug)]
pub(super) struct Client {
    identity: Vec<u8>,
    wish: Wish,
    xid: [u8; 3],
    began: Instant,
    deadline: Instant,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Information-request, Solicit: nobody is known yet.
    Asking {
        tries: u32,
    },
    Bound(Lease, Instant),
    Rebinding(Lease, Instant, u32),
    Renewing(Lease, Instant, u32),
    Requesting {
        offer: Lease,
        tries: u32,
    },
}

impl Client {
    /// A client that has something to say at once.
    pub(super) fn new(mac: [u8; 6], wish: Wish, now: Instant) -> Self {
        // DUID-LL (RFC 8415 section 11.4), hardware type 1: Ethernet.
        let mut identity = vec![0, 3, 0, 1];
        identity.extend(mac);
        Self {
            identity,
            wish,
            xid: Message::new(MessageType::Solicit).xid(), // random
            began: now,
            deadline: now,
            state: State::Asking { tries: 0 },
        }
    }

    /// When [`Client::time`] is to be called.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether no answer is awaited.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound(..))
    }

    /// The deadline is reached.
    pub(super) fn time(&mut self, now: Instant) -> Vec<Action> {
        match self.state.clone() {
            State::Asking { tries } => {
                self.state = State::Asking { tries: tries + 1 };
                self.deadline = now + pause(tries);
                let kind = match self.wish {
                    Wish::Address => MessageType::Solicit,
                    Wish::Facts => MessageType::InformationRequest,
                };
                vec![self.ask(kind, None, now)]
            }
            State::Requesting { tries, .. } if tries >= MOST_REQUESTS => self.start_over(now),
            State::Requesting { offer, tries } => {
                self.deadline = now + pause(tries);
                let request = self.ask(MessageType::Request, Some(&offer), now);
                self.state = State::Requesting {
                    offer,
                    tries: tries + 1,
                };
                vec![request]
            }
            State::Bound(..) if self.wish == Wish::Facts => {
                self.start_over(now);
                self.time(now)
            }
            State::Bound(lease, since) => {
                self.new_exchange(now);
                self.state = State::Renewing(lease, since, 0);
                self.time(now)
            }
            State::Renewing(lease, since, _) if now >= since + lease.rebind => {
                self.new_exchange(now);
                self.state = State::Rebinding(lease, since, 0);
                self.time(now)
            }
            State::Renewing(lease, since, tries) => {
                self.deadline = (since + lease.rebind).min(now + long_pause(tries));
                let renew = self.ask(MessageType::Renew, Some(&lease), now);
                self.state = State::Renewing(lease, since, tries + 1);
                vec![renew]
            }
            State::Rebinding(lease, since, tries) => {
                let end = since + lease.lifetime();
                if now >= end {
                    let mut actions = vec![Action::Withdraw];
                    actions.extend(self.start_over(now));
                    return actions;
                }
                self.deadline = end.min(now + long_pause(tries));
                let rebind = self.ask(MessageType::Rebind, Some(&lease), now);
                self.state = State::Rebinding(lease, since, tries + 1);
                vec![rebind]
            }
        }
    }

    /// A message came; those for others, or out of turn, change nothing.
    pub(super) fn receive(&mut self, message: &Message, now: Instant) -> Vec<Action> {
        let ours = match message.opts().get(OptionCode::ClientId) {
            Some(DhcpOption::ClientId(identity)) => *identity == self.identity,
            _ => false,
        };
        if !ours || message.xid() != self.xid {
            return Vec::new();
        }
        let Some(lease) = Lease::from_message(message) else {
            return Vec::new();
        };
        let has_address = lease.address.is_some();
        match (&self.state, message.msg_type(), self.wish) {
            (State::Asking { .. }, MessageType::Advertise, Wish::Address) if has_address => {
                self.new_exchange(now);
                self.state = State::Requesting {
                    offer: lease,
                    tries: 0,
                };
                self.time(now)
            }
            (State::Asking { .. }, MessageType::Reply, Wish::Facts) => self.bind(lease, now),
            (
                State::Requesting { .. } | State::Renewing(..) | State::Rebinding(..),
                MessageType::Reply,
                _,
            ) if has_address => self.bind(lease, now),
            (State::Requesting { .. }, MessageType::Reply, _) => self.start_over(now),
            (State::Renewing(..) | State::Rebinding(..), MessageType::Reply, _) => {
                let mut actions = vec![Action::Withdraw];
                actions.extend(self.start_over(now));
                actions
            }
            _ => Vec::new(),
        }
    }

    fn bind(&mut self, lease: Lease, now: Instant) -> Vec<Action> {
        self.deadline = now + lease.renew;
        self.state = State::Bound(lease.clone(), now);
        vec![Action::Configure(lease)]
    }

    fn start_over(&mut self, now: Instant) -> Vec<Action> {
        self.new_exchange(now);
        self.state = State::Asking { tries: 0 };
        self.deadline = now + pause(0);
        Vec::new()
    }

    fn new_exchange(&mut self, now: Instant) {
        self.xid = Message::new(MessageType::Solicit).xid();
        self.began = now;
    }

    fn ask(&self, kind: MessageType, lease: Option<&Lease>, now: Instant) -> Action {
        let mut message = Message::new(kind);
        message.set_xid(self.xid);
        let options = message.opts_mut();
        options.insert(DhcpOption::ClientId(self.identity.clone()));
        if let Some(lease) = lease.filter(|_| kind != MessageType::Rebind) {
            options.insert(DhcpOption::ServerId(lease.server.clone()));
        }
        let hundredths = now.saturating_duration_since(self.began).as_millis() / 10;
        options.insert(DhcpOption::ElapsedTime(
            u16::try_from(hundredths).unwrap_or(u16::MAX),
        ));
        options.insert(DhcpOption::ORO(ORO {
            opts: vec![OptionCode::DomainNameServers, OptionCode::DomainSearchList],
        }));
        if self.wish == Wish::Address {
            let mut association = IANA {
                id: ASSOCIATION,
                t1: 0,
                t2: 0,
                opts: dhcproto::v6::DhcpOptions::new(),
            };
            if let Some((address, _)) = lease.and_then(|lease| lease.address) {
                association
                    .opts
                    .insert(DhcpOption::IAAddr(dhcproto::v6::IAAddr {
                        addr: address,
                        preferred_life: 0,
                        valid_life: 0,
                        opts: dhcproto::v6::DhcpOptions::new(),
                    }));
            }
            options.insert(DhcpOption::IANA(association));
        }
        Action::Send(Box::new(message))
    }
}

impl Lease {
    /// What an Advertise or a Reply gives; `None` when it lacks its server or says that it failed.
    fn from_message(message: &Message) -> Option<Self> {
        let options = message.opts();
        let Some(DhcpOption::ServerId(server)) = options.get(OptionCode::ServerId) else {
            return None;
        };
        if let Some(DhcpOption::StatusCode(code)) = options.get(OptionCode::StatusCode)
            && code.status != Status::Success
        {
            return None;
        }
        let association = options.iter().find_map(|option| match option {
            DhcpOption::IANA(association) if association.id == ASSOCIATION => Some(association),
            _ => None,
        });
        let address = association.and_then(|association| {
            association.opts.iter().find_map(|option| match option {
                DhcpOption::IAAddr(given) if given.valid_life > 0 => {
                    Some((given.addr, Duration::from_secs(given.valid_life.into())))
                }
                _ => None,
            })
        });
        let whole = address.map_or(REFRESH, |(_, valid)| valid.max(SHORTEST));
        let seconds = |given: Option<u32>| {
            given
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into()))
        };
        // RFC 8415 section 21.4: where the server leaves the times open, 0.5 and 0.8 of the lifetime.
        let rebind = seconds(association.map(|association| association.t2))
            .filter(|rebind| *rebind < whole)
            .unwrap_or(whole * 4 / 5);
        let renew = seconds(association.map(|association| association.t1))
            .filter(|renew| *renew < rebind)
            .unwrap_or(rebind * 5 / 8);
        Some(Self {
            address,
            name_servers: match options.get(OptionCode::DomainNameServers) {
                Some(DhcpOption::DomainNameServers(servers)) => servers.clone(),
                _ => Vec::new(),
            },
            search: match options.get(OptionCode::DomainSearchList) {
                Some(DhcpOption::DomainSearchList(names)) => {
                    names.iter().map(ToString::to_string).collect()
                }
                _ => Vec::new(),
            },
            server: server.clone(),
            renew,
            rebind,
        })
    }

    fn lifetime(&self) -> Duration {
        self.address.map_or(REFRESH, |(_, valid)| valid)
    }
}

/// RFC 8415 sections 7.6 and 15 (SOL_TIMEOUT, REQ_TIMEOUT 1 s, doubling), with an earlier end of the doubling.
fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(5))
}

/// REN_TIMEOUT and REB_TIMEOUT 10 s, at most 600 s.
fn long_pause(tries: u32) -> Duration {
    Duration::from_secs((10 << tries.min(6)).min(600))
}

/// The one identity association of an interface.
const ASSOCIATION: u32 = 1;
const MOST_REQUESTS: u32 = 5;
/// IRT_DEFAULT: facts without an address are asked for again.
const REFRESH: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use dhcproto::v6::{DhcpOptions, IAAddr, StatusCode};

    const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);

    fn answer(client: &Client, kind: MessageType, address: Option<Ipv6Addr>) -> Message {
        let mut message = Message::new(kind);
        message.set_xid(client.xid);
        let options = message.opts_mut();
        options.insert(DhcpOption::ClientId(client.identity.clone()));
        options.insert(DhcpOption::ServerId(vec![7]));
        options.insert(DhcpOption::DomainNameServers(vec![ADDRESS]));
        if let Some(addr) = address {
            let mut opts = DhcpOptions::new();
            opts.insert(DhcpOption::IAAddr(IAAddr {
                addr,
                preferred_life: 1000,
                valid_life: 1000,
                opts: DhcpOptions::new(),
            }));
            options.insert(DhcpOption::IANA(IANA {
                id: ASSOCIATION,
                t1: 0,
                t2: 0,
                opts,
            }));
        }
        message
    }

    fn kinds(actions: &[Action]) -> Vec<MessageType> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Send(message) => Some(message.msg_type()),
                _ => None,
            })
            .collect()
    }

    fn bound(start: Instant) -> Client {
        let mut client = Client::new(MAC, Wish::Address, start);
        assert_eq!(kinds(&client.time(start)), [MessageType::Solicit]);
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        assert_eq!(
            kinds(&client.receive(&offer, start)),
            [MessageType::Request]
        );
        let reply = answer(&client, MessageType::Reply, Some(ADDRESS));
        let actions = client.receive(&reply, start);
        let [Action::Configure(lease)] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        assert_eq!(lease.address, Some((ADDRESS, Duration::from_secs(1000))));
        assert_eq!(lease.name_servers, [ADDRESS]);
        client
    }

    #[test]
    fn four_messages_give_an_address_which_is_renewed_after_half_its_time() {
        let start = Instant::now();
        let mut client = bound(start);
        assert!(client.is_bound());
        assert_eq!(client.deadline(), start + Duration::from_secs(500));
        let now = client.deadline();
        assert_eq!(kinds(&client.time(now)), [MessageType::Renew]);
        let reply = answer(&client, MessageType::Reply, Some(ADDRESS));
        assert!(matches!(
            client.receive(&reply, now).as_slice(),
            [Action::Configure(_)]
        ));
    }

    #[test]
    fn a_silent_server_leads_to_all_servers_and_then_to_the_leases_end() {
        let start = Instant::now();
        let mut client = bound(start);
        let mut sent = Vec::new();
        loop {
            let now = client.deadline();
            let actions = client.time(now);
            if actions == [Action::Withdraw] {
                assert_eq!(now, start + Duration::from_secs(1000));
                break;
            }
            sent.extend(kinds(&actions));
        }
        sent.dedup();
        assert_eq!(sent, [MessageType::Renew, MessageType::Rebind]);
    }

    #[test]
    fn a_reply_without_the_address_takes_it_away() {
        let start = Instant::now();
        let mut client = bound(start);
        let now = client.deadline();
        client.time(now);
        let reply = answer(&client, MessageType::Reply, None);
        assert_eq!(client.receive(&reply, now), [Action::Withdraw]);
        assert_eq!(client.state, State::Asking { tries: 0 });
    }

    #[test]
    fn facts_alone_take_one_question() {
        let start = Instant::now();
        let mut client = Client::new(MAC, Wish::Facts, start);
        assert_eq!(
            kinds(&client.time(start)),
            [MessageType::InformationRequest]
        );
        let reply = answer(&client, MessageType::Reply, None);
        let actions = client.receive(&reply, start);
        let [Action::Configure(lease)] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        assert_eq!(
            (lease.address, &*lease.name_servers),
            (None, &[ADDRESS][..])
        );
        let later = client.deadline();
        assert_eq!(
            kinds(&client.time(later)),
            [MessageType::InformationRequest]
        );
    }

    #[test]
    fn requests_without_an_answer_lead_back_to_the_beginning() {
        let start = Instant::now();
        let mut client = Client::new(MAC, Wish::Address, start);
        client.time(start);
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        client.receive(&offer, start);
        for _ in 0..MOST_REQUESTS {
            let now = client.deadline();
            client.time(now);
        }
        assert_eq!(client.state, State::Asking { tries: 0 });
    }

    #[test]
    fn messages_for_others_and_refusals_change_nothing() {
        let start = Instant::now();
        let mut client = Client::new(MAC, Wish::Address, start);
        client.time(start);
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        let mut other = offer.clone();
        other.set_xid([client.xid[0].wrapping_add(1), 0, 0]);
        let mut stranger = offer.clone();
        stranger.opts_mut().remove(OptionCode::ClientId);
        let mut nobody = offer.clone();
        nobody.opts_mut().remove(OptionCode::ServerId);
        let mut refused = offer;
        refused
            .opts_mut()
            .insert(DhcpOption::StatusCode(StatusCode {
                status: Status::NoAddrsAvail,
                msg: String::new(),
            }));
        let empty = answer(&client, MessageType::Advertise, None);
        for message in [other, stranger, nobody, refused, empty] {
            assert_eq!(client.receive(&message, start), []);
        }
        assert_eq!(client.state, State::Asking { tries: 1 });
    }
}
