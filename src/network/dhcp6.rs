//! A DHCPv6 client (RFC 8415) as a pure state machine: one address and name servers, or the name servers alone.
//!
//! Knows no socket and no interface; [`super::worker6`] carries out what it says. Whether to ask at all is the router's word.

use super::driver::DhcpClient;
use super::lease6::{ASSOCIATION, Duid, Lease, Request, Unusable};
use crate::formats::dhcp6::{Association, AssociationAddress, Message, MessageType, Options, code};
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

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
    Deconfigure,
}

/// Why there is no address yet although a server answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// A Reply of a server that was not asked.
    #[error("an answer of the server {0} was passed over: another one was asked")]
    Foreign(Duid),
    /// An Advertise where a Reply was awaited, or the other way round.
    #[error("an answer was passed over: its message type does not answer what was asked")]
    NotAnAnswer,
    /// A Reply with another address than was offered.
    #[error("a reply was passed over: its address {0} is not the one that was offered")]
    NotOffered(Ipv6Addr),
    /// No answer to any Request.
    #[error("the server {0} offered an address and then did not answer requests for it")]
    Unanswered(Duid),
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// The client of one interface.
#[derive(Debug)]
pub(super) struct Client {
    identity: Vec<u8>,
    wish: Request,
    xid: [u8; 3],
    began: Instant,
    deadline: Instant,
    /// How many addresses turned out to be others'.
    declined: u32,
    state: State,
    /// Servers that offered an address and did not give one of use: another one's offer is preferred.
    failed: Vec<Duid>,
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
    pub(super) fn new(mac: [u8; 6], xid: [u8; 3], wish: Request, now: Instant) -> Self {
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
            failed: Vec::new(),
        }
    }

    /// The address that was to be configured is another host's (RFC 8415 section 18.2.8).
    pub(super) fn decline(&mut self, now: Instant) -> Vec<Action> {
        let State::Bound(lease, _) = &self.state else {
            return Vec::new();
        };
        let lease = lease.clone();
        self.declined += 1;
        self.note_failure(lease.server.clone());
        self.new_exchange(now);
        self.state = State::Declining { lease, tries: 0 };
        let mut actions = vec![Action::Deconfigure];
        actions.extend(self.on_timeout(now));
        actions
    }

    /// The server of a message that answers what was asked (RFC 8415 sections 16.3 and 16.10): of the server that was asked,
    /// where it was one. Any server may advertise, answer an Information-request, and extend a lease that is being rebound.
    fn answering(&self, message: &Message) -> Result<Duid, Refusal> {
        let expected = match (&self.state, self.wish) {
            (State::Asking { .. }, Request::Address) => MessageType::Advertise,
            _ => MessageType::Reply,
        };
        if message.message_type != expected {
            return Err(Refusal::NotAnAnswer);
        }
        let server = Duid::of_server(message)?;
        let asked = match &self.state {
            State::Declining { lease, .. }
            | State::Renewing(lease, ..)
            | State::Requesting { offer: lease, .. } => &lease.server,
            State::Asking { .. } | State::Bound(..) | State::Rebinding(..) => return Ok(server),
        };
        if server == *asked {
            Ok(server)
        } else {
            Err(Refusal::Foreign(server))
        }
    }

    /// A server that was asked gives nothing.
    fn refused(&mut self, reason: Unusable, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match &self.state {
            State::Requesting { offer, .. } => {
                let server = offer.server.clone();
                self.note_failure(server);
                self.start_over(now);
            }
            // A server that takes its word back (RFC 8415 section 18.2.10.1).
            State::Renewing(..) | State::Rebinding(..)
                if matches!(reason, Unusable::NoAddress(_)) =>
            {
                actions.push(Action::Deconfigure);
                self.start_over(now);
            }
            _ => {}
        }
        actions.insert(0, Action::Log(reason.into()));
        actions
    }

    fn note_failure(&mut self, server: Duid) {
        if self.failed.len() < MAX_FAILED && !self.failed.contains(&server) {
            self.failed.push(server);
        }
    }

    fn bind(&mut self, lease: Lease, now: Instant) -> Vec<Action> {
        self.failed.clear();
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
            options.push(code::SERVER_ID, lease.server.0.as_slice());
        }
        let hundredths = now.saturating_duration_since(self.began).as_millis() / 10;
        let hundredths = u16::try_from(hundredths).unwrap_or(u16::MAX);
        options.push(code::ELAPSED_TIME, hundredths.to_be_bytes());
        let wanted = [code::NAME_SERVERS, code::DOMAIN_SEARCH].map(u16::to_be_bytes);
        options.push(code::OPTION_REQUEST, wanted.concat());
        if self.wish == Request::Address {
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

impl DhcpClient for Client {
    type Action = Action;
    type Message = Message;

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound(..))
    }

    /// The deadline is reached.
    fn on_timeout(&mut self, now: Instant) -> Vec<Action> {
        match self.state.clone() {
            State::Asking { tries } => {
                self.state = State::Asking { tries: tries + 1 };
                self.deadline = now + pause(tries);
                let kind = match self.wish {
                    Request::Address => MessageType::Solicit,
                    Request::InformationOnly => MessageType::InformationRequest,
                };
                vec![self.ask(kind, None, now)]
            }
            State::Requesting { offer, tries } if tries >= MAX_REQUESTS => {
                self.note_failure(offer.server.clone());
                self.start_over(now);
                vec![Action::Log(Refusal::Unanswered(offer.server))]
            }
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
            State::Bound(..) if self.wish == Request::InformationOnly => {
                self.start_over(now);
                self.on_timeout(now)
            }
            State::Bound(lease, since) => {
                self.new_exchange(now);
                self.state = State::Renewing(lease, since, 0);
                self.on_timeout(now)
            }
            State::Renewing(lease, since, _) if now >= since + lease.rebind => {
                self.new_exchange(now);
                self.state = State::Rebinding(lease, since, 0);
                self.on_timeout(now)
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
                    let mut actions = vec![Action::Deconfigure];
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
    fn on_message(&mut self, message: &Message, now: Instant) -> Vec<Action> {
        let ours = message.options.get(code::CLIENT_ID) == Some(&*self.identity);
        let from_server = matches!(
            message.message_type,
            MessageType::Advertise | MessageType::Reply
        );
        if !ours || !from_server || message.xid != self.xid || self.is_bound() {
            return Vec::new();
        }
        let server = match self.answering(message) {
            Ok(server) => server,
            Err(reason) => return vec![Action::Log(reason)],
        };
        let wanted = match &self.state {
            // The server has taken note, whatever its status (RFC 8415 section 18.2.10.2).
            State::Declining { .. } => return self.start_over(now),
            State::Asking { .. } | State::Bound(..) => None,
            State::Requesting { offer: lease, .. }
            | State::Renewing(lease, ..)
            | State::Rebinding(lease, ..) => lease.address.map(|(address, _)| address),
        };
        let lease = match Lease::from_message(message, server, self.wish, wanted) {
            Ok(lease) => lease,
            Err(reason) => return self.refused(reason, now),
        };
        match (&self.state, lease.address) {
            (State::Asking { tries }, Some(_)) => {
                // Another server has until the next Solicit to offer something.
                if *tries <= 1 && self.failed.contains(&lease.server) {
                    return Vec::new();
                }
                self.new_exchange(now);
                self.state = State::Requesting {
                    offer: lease,
                    tries: 0,
                };
                self.on_timeout(now)
            }
            (State::Requesting { .. }, Some((address, _))) if wanted != Some(address) => {
                vec![Action::Log(Refusal::NotOffered(address))]
            }
            _ => self.bind(lease, now),
        }
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

const MAX_REQUESTS: u32 = 5;
const MAX_FAILED: usize = 8;
/// DEC_MAX_RC.
const MAX_DECLINES: u32 = 4;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::dhcp6::Status;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);

    fn client(wish: Request, now: Instant) -> Client {
        Client::new(MAC, [1, 2, 3], wish, now)
    }

    fn answer(client: &Client, kind: MessageType, address: Option<Ipv6Addr>) -> Message {
        answer_of(7, client, kind, address)
    }

    fn answer_of(
        server: u8,
        client: &Client,
        kind: MessageType,
        address: Option<Ipv6Addr>,
    ) -> Message {
        let mut options = Options::default();
        options.push(code::CLIENT_ID, client.identity.as_slice());
        options.push(code::SERVER_ID, [server]);
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
        no_addresses_of(7, client, kind)
    }

    fn no_addresses_of(server: u8, client: &Client, kind: MessageType) -> (Message, Status) {
        let mut message = answer_of(server, client, kind, None);
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
        let mut client = client(Request::Address, start);
        assert_eq!(kinds(&client.on_timeout(start)), [MessageType::Solicit]);
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        assert_eq!(
            kinds(&client.on_message(&offer, start)),
            [MessageType::Request]
        );
        let reply = answer(&client, MessageType::Reply, Some(ADDRESS));
        let actions = client.on_message(&reply, start);
        let [Action::Configure(lease)] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        assert_eq!(lease.address, Some((ADDRESS, Duration::from_secs(1000))));
        assert_eq!(lease.name_servers, [ADDRESS]);
        client
    }

    /// A client that requests the address that server 7 offered.
    fn requesting(start: Instant) -> Client {
        let mut client = client(Request::Address, start);
        client.on_timeout(start);
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        assert_eq!(
            kinds(&client.on_message(&offer, start)),
            [MessageType::Request]
        );
        client
    }

    /// The server that a Request asks.
    fn asked(actions: &[Action]) -> Option<Vec<u8>> {
        let [Action::Send(request)] = actions else {
            return None;
        };
        assert_eq!(request.message_type, MessageType::Request);
        request.options.get(code::SERVER_ID).map(<[u8]>::to_vec)
    }

    fn foreign() -> [Action; 1] {
        [Action::Log(Refusal::Foreign(Duid(vec![9])))]
    }

    #[test]
    fn another_server_neither_refuses_a_request_nor_answers_it() {
        let now = Instant::now();
        let mut client = requesting(now);
        let forged = [
            answer_of(9, &client, MessageType::Reply, Some(ADDRESS)),
            no_addresses_of(9, &client, MessageType::Reply).0,
        ];
        for forged in forged {
            assert_eq!(client.on_message(&forged, now), foreign());
        }
        let reply = answer(&client, MessageType::Reply, Some(ADDRESS));
        let actions = client.on_message(&reply, now);
        assert!(
            matches!(actions.as_slice(), [Action::Configure(lease)] if lease.server == Duid(vec![7]))
        );
    }

    #[test]
    fn a_reply_gives_the_address_that_was_offered_and_no_other() {
        let now = Instant::now();
        let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x666);
        let mut client = requesting(now);
        let reply = answer(&client, MessageType::Reply, Some(other));
        assert_eq!(
            client.on_message(&reply, now),
            [Action::Log(Refusal::NotOffered(other))]
        );
        // It is not the first of those in the reply.
        let mut both = Association {
            id: ASSOCIATION,
            ..Association::default()
        };
        for address in [other, ADDRESS] {
            both.options.push_address(&AssociationAddress {
                address,
                preferred: 1000,
                valid: 1000,
            });
        }
        let mut reply = answer(&client, MessageType::Reply, None);
        reply.options.push_association(&both);
        let actions = client.on_message(&reply, now);
        let [Action::Configure(lease)] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        assert_eq!(lease.address, Some((ADDRESS, Duration::from_secs(1000))));
    }

    #[test]
    fn another_server_neither_extends_nor_ends_a_lease_until_all_are_asked() {
        let start = Instant::now();
        let mut client = bound(start);
        let mut now = client.deadline();
        assert_eq!(kinds(&client.on_timeout(now)), [MessageType::Renew]);
        let forged = [
            answer_of(9, &client, MessageType::Reply, Some(ADDRESS)),
            no_addresses_of(9, &client, MessageType::Reply).0,
        ];
        for forged in forged {
            assert_eq!(client.on_message(&forged, now), foreign());
        }
        while !matches!(client.state, State::Rebinding(..)) {
            now = client.deadline();
            client.on_timeout(now);
        }
        let reply = answer_of(9, &client, MessageType::Reply, Some(ADDRESS));
        let actions = client.on_message(&reply, now);
        assert!(
            matches!(actions.as_slice(), [Action::Configure(lease)] if lease.server == Duid(vec![9]))
        );
    }

    #[test]
    fn another_server_does_not_end_a_decline() {
        let start = Instant::now();
        let mut client = bound(start);
        client.decline(start);
        let forged = answer_of(9, &client, MessageType::Reply, None);
        assert_eq!(client.on_message(&forged, start), foreign());
        assert!(matches!(client.state, State::Declining { .. }));
    }

    #[test]
    fn an_answer_to_another_kind_of_question_is_logged_and_changes_nothing() {
        let start = Instant::now();
        let mut asking = client(Request::Address, start);
        asking.on_timeout(start);
        let mut facts = client(Request::InformationOnly, start);
        facts.on_timeout(start);
        let mut renewing = bound(start);
        let now = renewing.deadline();
        renewing.on_timeout(now);
        let mut declining = bound(start);
        declining.decline(start);
        for (mut client, kind) in [
            (asking, MessageType::Reply),
            (facts, MessageType::Advertise),
            (requesting(start), MessageType::Advertise),
            (renewing, MessageType::Advertise),
            (declining, MessageType::Advertise),
        ] {
            let state = client.state.clone();
            for message in [
                answer(&client, kind, Some(ADDRESS)),
                no_addresses(&client, kind).0,
            ] {
                assert_eq!(
                    client.on_message(&message, now),
                    [Action::Log(Refusal::NotAnAnswer)],
                    "{state:?}"
                );
            }
            assert_eq!(client.state, state);
        }
    }

    #[test]
    fn repeated_answers_are_nothing_to_log() {
        let start = Instant::now();
        let mut client = bound(start);
        for kind in [MessageType::Reply, MessageType::Advertise] {
            let again = answer(&client, kind, Some(ADDRESS));
            assert_eq!(client.on_message(&again, start), []);
        }
        assert!(client.is_bound());
    }

    #[test]
    fn a_server_that_offers_and_does_not_give_leaves_others_their_turn() {
        let start = Instant::now();
        let silent = {
            let mut client = requesting(start);
            while !matches!(client.state, State::Asking { .. }) {
                let now = client.deadline();
                client.on_timeout(now);
            }
            client
        };
        let refusing = {
            let mut client = requesting(start);
            let (refusal, _) = no_addresses(&client, MessageType::Reply);
            client.on_message(&refusal, start);
            client
        };
        let giving_what_is_others = {
            let mut client = bound(start);
            client.decline(start);
            let reply = answer(&client, MessageType::Reply, None);
            client.on_message(&reply, start);
            client
        };
        for client in [silent, refusing, giving_what_is_others] {
            assert_eq!(client.state, State::Asking { tries: 0 });
            for others in [true, false] {
                let mut client = Client {
                    identity: client.identity.clone(),
                    state: client.state.clone(),
                    failed: client.failed.clone(),
                    ..client
                };
                let now = client.deadline();
                client.on_timeout(now);
                let same = answer(&client, MessageType::Advertise, Some(ADDRESS));
                assert_eq!(client.on_message(&same, now), []);
                if others {
                    let other = answer_of(9, &client, MessageType::Advertise, Some(ADDRESS));
                    assert_eq!(asked(&client.on_message(&other, now)), Some(vec![9]));
                } else {
                    // Where it is the only one it is believed again.
                    let now = client.deadline();
                    client.on_timeout(now);
                    let same = answer(&client, MessageType::Advertise, Some(ADDRESS));
                    assert_eq!(asked(&client.on_message(&same, now)), Some(vec![7]));
                }
            }
        }
    }

    #[test]
    fn an_address_that_was_not_asked_for_is_not_used() {
        let start = Instant::now();
        let mut client = client(Request::InformationOnly, start);
        client.on_timeout(start);
        let reply = answer(&client, MessageType::Reply, Some(ADDRESS));
        let actions = client.on_message(&reply, start);
        let [Action::Configure(lease)] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        assert_eq!(lease.address, None);
    }

    #[test]
    fn four_messages_give_an_address_which_is_renewed_after_half_its_time() {
        let start = Instant::now();
        let mut client = bound(start);
        assert!(client.is_bound());
        assert_eq!(client.deadline(), start + Duration::from_secs(500));
        let now = client.deadline();
        assert_eq!(kinds(&client.on_timeout(now)), [MessageType::Renew]);
        let reply = answer(&client, MessageType::Reply, Some(ADDRESS));
        assert!(matches!(
            client.on_message(&reply, now).as_slice(),
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
            let actions = client.on_timeout(now);
            if actions == [Action::Deconfigure] {
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
        client.on_timeout(now);
        let (reply, status) = no_addresses(&client, MessageType::Reply);
        let reason = Refusal::Unusable(Unusable::NoAddress(Some(status)));
        assert_eq!(
            client.on_message(&reply, now),
            [Action::Log(reason), Action::Deconfigure]
        );
        assert_eq!(client.state, State::Asking { tries: 0 });
    }

    #[test]
    fn a_declined_address_is_taken_away_and_asked_for_again_less_and_less_often() {
        let start = Instant::now();
        let mut client = bound(start);
        let actions = client.decline(start);
        assert_eq!(actions.first(), Some(&Action::Deconfigure));
        assert_eq!(kinds(&actions), [MessageType::Decline]);
        let Some(Action::Send(decline)) = actions.last() else {
            panic!("{actions:?}")
        };
        let association = decline.options.association(ASSOCIATION).unwrap();
        let mut given = association.options.addresses();
        assert_eq!(given.next().unwrap().address, ADDRESS);
        assert_eq!(decline.options.get(code::SERVER_ID), Some(&[7][..]));

        let reply = answer(&client, MessageType::Reply, None);
        assert_eq!(client.on_message(&reply, start), []);
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
            sent.extend(kinds(&client.on_timeout(now)));
        }
        assert_eq!(sent, [MessageType::Decline; 4]);
    }

    #[test]
    fn nothing_is_declined_without_an_address() {
        let start = Instant::now();
        let mut client = client(Request::Address, start);
        assert_eq!(client.decline(start), []);
    }

    #[test]
    fn facts_alone_take_one_question() {
        let start = Instant::now();
        let mut client = client(Request::InformationOnly, start);
        assert_eq!(
            kinds(&client.on_timeout(start)),
            [MessageType::InformationRequest]
        );
        let reply = answer(&client, MessageType::Reply, None);
        let actions = client.on_message(&reply, start);
        let [Action::Configure(lease)] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        assert_eq!(
            (lease.address, &*lease.name_servers),
            (None, &[ADDRESS][..])
        );
        let later = client.deadline();
        assert_eq!(
            kinds(&client.on_timeout(later)),
            [MessageType::InformationRequest]
        );
    }

    #[test]
    fn requests_without_an_answer_lead_back_to_the_beginning() {
        let start = Instant::now();
        let mut client = client(Request::Address, start);
        client.on_timeout(start);
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        client.on_message(&offer, start);
        for _ in 1..MAX_REQUESTS {
            let now = client.deadline();
            assert_eq!(kinds(&client.on_timeout(now)), [MessageType::Request]);
        }
        let now = client.deadline();
        let reason = Refusal::Unanswered(Duid(vec![7]));
        assert_eq!(
            reason.to_string(),
            "the server 07 offered an address and then did not answer requests for it"
        );
        assert_eq!(client.on_timeout(now), [Action::Log(reason)]);
        assert_eq!(client.state, State::Asking { tries: 0 });
    }

    #[test]
    fn messages_for_others_change_nothing() {
        let start = Instant::now();
        let mut client = client(Request::Address, start);
        client.on_timeout(start);
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        let other = Message {
            xid: [client.xid[0].wrapping_add(1), 0, 0],
            ..offer.clone()
        };
        let another_client = Client::new([1; 6], client.xid, Request::Address, start);
        let stranger = answer(&another_client, MessageType::Advertise, Some(ADDRESS));
        let from_client = Message {
            message_type: MessageType::Solicit,
            ..offer
        };
        for message in [other, stranger, from_client] {
            assert_eq!(client.on_message(&message, start), []);
        }
        assert_eq!(client.state, State::Asking { tries: 1 });
    }

    #[test]
    fn refusals_are_logged_and_the_next_offer_is_taken() {
        let start = Instant::now();
        let mut client = client(Request::Address, start);
        client.on_timeout(start);
        let mut no_server = answer(&client, MessageType::Advertise, Some(ADDRESS));
        no_server.options = {
            let mut options = Options::default();
            options.push(code::CLIENT_ID, client.identity.as_slice());
            options
        };
        let mut long_server = no_server.clone();
        long_server.options.push(code::SERVER_ID, [7; 131]);
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
                Refusal::Unusable(Unusable::NoServer),
                "an answer was passed over: it does not say which server it is from (option 2)",
            ),
            (
                long_server,
                Refusal::Unusable(Unusable::NoServer),
                "an answer was passed over: it does not say which server it is from (option 2)",
            ),
            (
                refused,
                Refusal::Unusable(Unusable::Status(status)),
                "the server refused: status 1, \"no\"",
            ),
            (
                empty,
                Refusal::Unusable(Unusable::NoAddress(Some(none_left))),
                "the server gives no address: status 2, \"none left\"",
            ),
            (
                local,
                Refusal::Unusable(Unusable::NoAddress(None)),
                "the server gives no address",
            ),
        ] {
            assert_eq!(reason.to_string(), text);
            assert_eq!(client.on_message(&message, start), [Action::Log(reason)]);
        }
        assert_eq!(client.state, State::Asking { tries: 1 });
        let offer = answer(&client, MessageType::Advertise, Some(ADDRESS));
        assert_eq!(
            kinds(&client.on_message(&offer, start)),
            [MessageType::Request]
        );
    }
}
