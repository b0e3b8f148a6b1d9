//! A DHCPv6 client (RFC 8415) as a pure state machine: one address and name servers, or the name servers alone.
//!
//! Knows no socket and no interface; [`super::worker6`] carries out what it says. Whether to ask at all is the router's word.

use crate::formats::dhcp6::{
    Association, AssociationAddress, Message, MessageType, Options, Status, code,
};
use std::hash::{BuildHasher, RandomState};
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
    /// Use this from now on, instead of anything earlier. Where the address is another host's,
    /// [`Client::decline`] is next.
    Configure(Lease),
    /// Log why something that a server sent is of no use.
    Log(Refusal),
    /// Send a message to all servers of the link.
    Send(Box<Message>),
    /// Take the address away.
    Withdraw,
}

/// Why there is no address yet although a server answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the server gives no address{}", words(.0.as_ref()))]
    NoAddress(Option<Status>),
    #[error("an answer was passed over: it does not say which server it is from (option 2)")]
    NoServer,
    #[error("the server refused{}", words(Some(.0)))]
    Status(Status),
}

fn words(status: Option<&Status>) -> String {
    status.map_or_else(String::new, |Status { code, text }| {
        format!(": status {code}, {text:?}")
    })
}

/// The client of one interface.
#[derive(Debug)]
pub(super) struct Client {
    identity: Vec<u8>,
    wish: Wish,
    xid: [u8; 3],
    began: Instant,
    deadline: Instant,
    /// How many addresses turned out to be others'.
    declined: u32,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Information-request, Solicit: nobody is known yet.
    Asking {
        tries: u32,
    },
    Bound(Lease, Instant),
    /// The address is another host's: Decline is sent until the server replies.
    Declining {
        lease: Lease,
        tries: u32,
    },
    Rebinding(Lease, Instant, u32),
    Renewing(Lease, Instant, u32),
    Requesting {
        offer: Lease,
        tries: u32,
    },
}

impl Client {
    /// A client that has something to say at once; `xid` is a random number.
    pub(super) fn new(mac: [u8; 6], xid: [u8; 3], wish: Wish, now: Instant) -> Self {
        // DUID-LL (RFC 8415 section 11.4), hardware type 1: Ethernet.
        let mut identity = vec![0, 3, 0, 1];
        identity.extend(mac);
        Self {
            identity,
            wish,
            xid,
            began: now,
            deadline: now,
            declined: 0,
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
            State::Declining { tries, .. } if tries >= MAX_DECLINES => self.start_over(now),
            State::Declining { lease, tries } => {
                self.deadline = now + pause(tries);
                let decline = self.ask(MessageType::Decline, Some(&lease), now);
                self.state = State::Declining {
                    lease,
                    tries: tries + 1,
                };
                vec![decline]
            }
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

    /// The address that was to be configured is another host's (RFC 8415 section 18.2.8).
    pub(super) fn decline(&mut self, now: Instant) -> Vec<Action> {
        let State::Bound(lease, _) = &self.state else {
            return Vec::new();
        };
        let lease = lease.clone();
        self.declined += 1;
        self.new_exchange(now);
        self.state = State::Declining { lease, tries: 0 };
        let mut actions = vec![Action::Withdraw];
        actions.extend(self.time(now));
        actions
    }

    /// A message came; those for others, or out of turn, change nothing.
    pub(super) fn receive(&mut self, message: &Message, now: Instant) -> Vec<Action> {
        let ours = message.options.get(code::CLIENT_ID) == Some(&*self.identity);
        let from_server = matches!(
            message.message_type,
            MessageType::Advertise | MessageType::Reply
        );
        if !ours || !from_server || message.xid != self.xid {
            return Vec::new();
        }
        if let State::Declining { .. } = self.state {
            return self.start_over(now);
        }
        let wants_address = self.wish == Wish::Address;
        let lease = match Lease::from_message(message, self.wish) {
            Ok(lease) => lease,
            // A server that takes its word back (RFC 8415 section 18.2.10.1).
            Err(reason @ Refusal::NoAddress(_)) if self.has_lease() => {
                let mut actions = vec![Action::Log(reason), Action::Withdraw];
                actions.extend(self.start_over(now));
                return actions;
            }
            Err(reason) => {
                let requested = matches!(self.state, State::Requesting { .. });
                let mut actions = vec![Action::Log(reason)];
                if requested && message.message_type == MessageType::Reply {
                    actions.extend(self.start_over(now));
                }
                return actions;
            }
        };
        match (&self.state, message.message_type) {
            (State::Asking { .. }, MessageType::Advertise) if wants_address => {
                self.new_exchange(now);
                self.state = State::Requesting {
                    offer: lease,
                    tries: 0,
                };
                self.time(now)
            }
            (State::Asking { .. }, MessageType::Reply) if !wants_address => self.bind(lease, now),
            (
                State::Requesting { .. } | State::Renewing(..) | State::Rebinding(..),
                MessageType::Reply,
            ) => self.bind(lease, now),
            _ => Vec::new(),
        }
    }

    fn has_lease(&self) -> bool {
        matches!(self.state, State::Renewing(..) | State::Rebinding(..))
    }

    fn bind(&mut self, lease: Lease, now: Instant) -> Vec<Action> {
        self.deadline = now + lease.renew;
        self.state = State::Bound(lease.clone(), now);
        vec![Action::Configure(lease)]
    }

    fn start_over(&mut self, now: Instant) -> Vec<Action> {
        self.new_exchange(now);
        self.state = State::Asking { tries: 0 };
        // A server that gives nothing but others' addresses is asked less and less often.
        self.deadline = now + pause(self.declined);
        Vec::new()
    }

    fn new_exchange(&mut self, now: Instant) {
        // A number that nobody can tell from those before, which everybody on the link heard.
        let [a, b, c, ..] = RandomState::new().hash_one(self.xid).to_ne_bytes();
        self.xid = [a, b, c];
        self.began = now;
    }

    fn ask(&self, kind: MessageType, lease: Option<&Lease>, now: Instant) -> Action {
        let mut options = Options::default();
        options.push(code::CLIENT_ID, self.identity.as_slice());
        if let Some(lease) = lease.filter(|_| kind != MessageType::Rebind) {
            options.push(code::SERVER_ID, lease.server.as_slice());
        }
        let hundredths = now.saturating_duration_since(self.began).as_millis() / 10;
        let hundredths = u16::try_from(hundredths).unwrap_or(u16::MAX);
        options.push(code::ELAPSED_TIME, hundredths.to_be_bytes());
        let wanted = [code::NAME_SERVERS, code::DOMAIN_SEARCH].map(u16::to_be_bytes);
        options.push(code::OPTION_REQUEST, wanted.concat());
        if self.wish == Wish::Address {
            let mut association = Association {
                id: ASSOCIATION,
                ..Association::default()
            };
            if let Some((address, _)) = lease.and_then(|lease| lease.address) {
                association.options.push_address(&AssociationAddress {
                    address,
                    preferred: 0,
                    valid: 0,
                });
            }
            options.push_association(&association);
        }
        Action::Send(Box::new(Message {
            message_type: kind,
            xid: self.xid,
            options,
        }))
    }
}

impl Lease {
    /// What an Advertise or a Reply gives.
    fn from_message(message: &Message, wish: Wish) -> Result<Self, Refusal> {
        let options = &message.options;
        let server = options.get(code::SERVER_ID).ok_or(Refusal::NoServer)?;
        let association = options.association(ASSOCIATION);
        let given = association.as_ref().and_then(|association| {
            let mut addresses = association.options.addresses();
            addresses.find(|given| given.valid > 0 && is_host(given.address))
        });
        let address = given.map(|given| (given.address, Duration::from_secs(given.valid.into())));
        if let Some(status) = options.status().filter(|status| status.code != 0) {
            return Err(Refusal::Status(status));
        }
        if address.is_none() && wish == Wish::Address {
            let status = association.and_then(|association| association.options.status());
            return Err(Refusal::NoAddress(status));
        }
        let whole = address.map_or(REFRESH, |(_, valid)| valid.max(SHORTEST));
        let seconds = |given: Option<u32>| {
            given
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into()))
        };
        // RFC 8415 section 21.4: where the server leaves the times open, 0.5 and 0.8 of the lifetime.
        let rebind = seconds(association.as_ref().map(|association| association.rebind))
            .filter(|rebind| *rebind < whole)
            .unwrap_or(whole * 4 / 5);
        let renew = seconds(association.as_ref().map(|association| association.renew))
            .filter(|renew| *renew < rebind)
            .unwrap_or(rebind * 5 / 8);
        Ok(Self {
            address,
            name_servers: options.name_servers(),
            search: options.domain_names(),
            server: server.to_vec(),
            renew,
            rebind,
        })
    }

    fn lifetime(&self) -> Duration {
        self.address.map_or(REFRESH, |(_, valid)| valid)
    }
}

/// Whether one host can have it on a network with others.
fn is_host(address: Ipv6Addr) -> bool {
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unicast_link_local();
    !special
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
/// DEC_MAX_RC.
const MAX_DECLINES: u32 = 4;
/// IRT_DEFAULT: facts without an address are asked for again.
const REFRESH: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);

    fn client(wish: Wish, now: Instant) -> Client {
        Client::new(MAC, [1, 2, 3], wish, now)
    }

    fn answer(client: &Client, kind: MessageType, address: Option<Ipv6Addr>) -> Message {
        let mut options = Options::default();
        options.push(code::CLIENT_ID, client.identity.as_slice());
        options.push(code::SERVER_ID, [7]);
        options.push(code::NAME_SERVERS, ADDRESS.octets());
        if let Some(address) = address {
            let mut association = Association {
                id: ASSOCIATION,
                ..Association::default()
            };
            association.options.push_address(&AssociationAddress {
                address,
                preferred: 1000,
                valid: 1000,
            });
            options.push_association(&association);
        }
        Message {
            message_type: kind,
            xid: client.xid,
            options,
        }
    }

    fn no_addresses(client: &Client, kind: MessageType) -> (Message, Status) {
        let mut message = answer(client, kind, None);
        let mut association = Association {
            id: ASSOCIATION,
            ..Association::default()
        };
        association.options.push(code::STATUS, *b"\0\x02none left");
        message.options.push_association(&association);
        let status = Status {
            code: 2,
            text: "none left".into(),
        };
        (message, status)
    }

    fn kinds(actions: &[Action]) -> Vec<MessageType> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Send(message) => Some(message.message_type),
                _ => None,
            })
            .collect()
    }

    fn bound(start: Instant) -> Client {
        let mut client = client(Wish::Address, start);
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
        let (reply, status) = no_addresses(&client, MessageType::Reply);
        let reason = Refusal::NoAddress(Some(status));
        assert_eq!(
            client.receive(&reply, now),
            [Action::Log(reason), Action::Withdraw]
        );
        assert_eq!(client.state, State::Asking { tries: 0 });
    }

    #[test]
    fn a_declined_address_is_taken_away_and_asked_for_again_less_and_less_often() {
        let start = Instant::now();
        let mut client = bound(start);
        let actions = client.decline(start);
        assert_eq!(actions.first(), Some(&Action::Withdraw));
        assert_eq!(kinds(&actions), [MessageType::Decline]);
        let Some(Action::Send(decline)) = actions.last() else {
            panic!("{actions:?}")
        };
        let association = decline.options.association(ASSOCIATION).unwrap();
        let mut given = association.options.addresses();
        assert_eq!(given.next().unwrap().address, ADDRESS);
        assert_eq!(decline.options.get(code::SERVER_ID), Some(&[7][..]));

        let reply = answer(&client, MessageType::Reply, None);
        assert_eq!(client.receive(&reply, start), []);
        assert_eq!(client.state, State::Asking { tries: 0 });
        assert_eq!(client.deadline(), start + Duration::from_secs(2));
    }

    #[test]
    fn a_decline_without_an_answer_is_sent_four_times() {
        let start = Instant::now();
        let mut client = bound(start);
        let mut sent = kinds(&client.decline(start));
        while client.state != (State::Asking { tries: 0 }) {
            let now = client.deadline();
            sent.extend(kinds(&client.time(now)));
        }
        assert_eq!(sent, [MessageType::Decline; 4]);
    }

    #[test]
    fn nothing_is_declined_without_an_address() {
        let start = Instant::now();
        let mut client = client(Wish::Address, start);
        assert_eq!(client.decline(start), []);
    }

    #[test]
    fn facts_alone_take_one_question() {
        let start = Instant::now();
        let mut client = client(Wish::Facts, start);
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
        let mut client = client(Wish::Address, start);
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
    fn messages_for_others_change_nothing() {
        let start = Instant::now();
        let mut client = client(Wish::Address, start);
        client.time(start);
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        let other = Message {
            xid: [client.xid[0].wrapping_add(1), 0, 0],
            ..offer.clone()
        };
        let another_client = Client::new([1; 6], client.xid, Wish::Address, start);
        let stranger = answer(&another_client, MessageType::Advertise, Some(ADDRESS));
        let from_client = Message {
            message_type: MessageType::Solicit,
            ..offer
        };
        for message in [other, stranger, from_client] {
            assert_eq!(client.receive(&message, start), []);
        }
        assert_eq!(client.state, State::Asking { tries: 1 });
    }

    #[test]
    fn refusals_are_logged_and_the_next_offer_is_taken() {
        let start = Instant::now();
        let mut client = client(Wish::Address, start);
        client.time(start);
        let mut no_server = answer(&client, MessageType::Advertise, Some(ADDRESS));
        no_server.options = {
            let mut options = Options::default();
            options.push(code::CLIENT_ID, client.identity.as_slice());
            options
        };
        let mut refused = answer(&client, MessageType::Advertise, Some(ADDRESS));
        refused.options.push(code::STATUS, *b"\0\x01no");
        let status = Status {
            code: 1,
            text: "no".into(),
        };
        let (empty, none_left) = no_addresses(&client, MessageType::Advertise);
        let local = answer(&client, MessageType::Advertise, Some(Ipv6Addr::LOCALHOST));
        for (message, reason, text) in [
            (
                no_server,
                Refusal::NoServer,
                "an answer was passed over: it does not say which server it is from (option 2)",
            ),
            (
                refused,
                Refusal::Status(status),
                "the server refused: status 1, \"no\"",
            ),
            (
                empty,
                Refusal::NoAddress(Some(none_left)),
                "the server gives no address: status 2, \"none left\"",
            ),
            (
                local,
                Refusal::NoAddress(None),
                "the server gives no address",
            ),
        ] {
            assert_eq!(reason.to_string(), text);
            assert_eq!(client.receive(&message, start), [Action::Log(reason)]);
        }
        assert_eq!(client.state, State::Asking { tries: 1 });
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        assert_eq!(
            kinds(&client.receive(&offer, start)),
            [MessageType::Request]
        );
    }
}
