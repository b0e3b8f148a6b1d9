//! Which connections there is room for, and which one goes when another comes.
//!
//! Addresses that showed the token have room first. Of the others each network has as much as any other: the largest crowd makes room,
//! and in it those go first that had their turn and their time to show a token. So a stranger needs as many addresses as there are
//! places to be in a newcomer's way, and then each of them has to give its place up again after [`Limits::grace`](super::Limits).

use super::auth_throttle::client_prefix;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many connections there are from one place. A network counts before its addresses: who has many of them in one network has no more
/// room than others, and within a network each address has as much as any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    network: usize,
    address: usize,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The peer is at work since then: it came, or its part of the handshake was answered.
    Since(Instant),
    /// It showed the token, and is never given up for another.
    Trusted,
    /// It waits for its turn at the handshake.
    Waiting,
}

/// The networks and addresses that have connections. A flood makes this count for each newcomer, so nothing is counted that can be
/// kept.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    networks: HashMap<IpAddr, Arc<()>>,
    addresses: HashMap<IpAddr, Arc<()>>,
}

/// A connection's part in the numbers of its network and of its address.
#[derive(Debug)]
pub(super) struct Crowd {
    network: Arc<()>,
    address: Arc<()>,
}

impl Crowds {
    /// Counts a connection until what is returned is dropped.
    pub(super) fn join(&mut self, address: IpAddr) -> Crowd {
        Crowd {
            network: self
                .networks
                .entry(client_prefix(address))
                .or_default()
                .clone(),
            address: self.addresses.entry(address).or_default().clone(),
        }
    }

    /// Forgets networks and addresses without connections.
    pub(super) fn tidy(&mut self) {
        for table in [&mut self.networks, &mut self.addresses] {
            table.retain(|_, members| number(members) > 0);
        }
    }
}

impl Crowd {
    /// How many connections there are, this one included.
    pub(super) fn size(&self) -> Size {
        Size {
            network: number(&self.network),
            address: number(&self.address),
        }
    }
}

/// One is held by the table.
fn number(members: &Arc<()>) -> usize {
    Arc::strong_count(members) - 1
}

/// A connection, as far as it matters for its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub(super) address: IpAddr,
    /// How many connections its network and its address have, the newcomer included.
    pub(super) crowd: Size,
    /// The address showed the token, on this connection or another.
    pub(super) is_known: bool,
    pub(super) stage: Stage,
}

/// The places of one listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// How many there are.
    pub(super) number: usize,
    /// For how long a connection keeps its place against those of a crowd as large as its own.
    pub(super) grace: Duration,
}

impl Places {
    /// Chooses who makes room for a newcomer, oldest first in `holders`; nobody if the newcomer has to go. `own` is the newcomer's crowd,
    /// with itself, or nothing if its address showed the token: then it has a right to a place.
    pub(super) fn victim(
        &self,
        holders: &[Holder],
        own: Option<Size>,
        now: Instant,
    ) -> Option<usize> {
        let mut known: HashMap<IpAddr, usize> = HashMap::new();
        for holder in holders.iter().filter(|holder| holder.is_known) {
            if holder.stage != Stage::Trusted {
                *known.entry(holder.address).or_default() += 1;
            }
        }
        // One who shares a known address, behind a router that translates them, must not have all places by that.
        let most = self.number / 4;
        let keeps = |holder: &Holder| {
            let same = known.get(&holder.address);
            holder.is_known && same.is_some_and(|same| *same <= most)
        };
        let least = own.unwrap_or_default();
        let unknown = self.choose(holders, least, |holder| !keeps(holder), now);
        match unknown {
            None if own.is_none() => self.choose(holders, least, keeps, now),
            unknown => unknown,
        }
    }

    /// Of the largest crowd who had most time, and of one no larger than the newcomer's own nobody whose time is not over.
    fn choose(
        &self,
        holders: &[Holder],
        own: Size,
        may_go: impl Fn(&Holder) -> bool,
        now: Instant,
    ) -> Option<usize> {
        let candidates = holders.iter().enumerate();
        let candidates = candidates
            .filter(|(_, holder)| holder.stage != Stage::Trusted && may_go(holder))
            .map(|(at, holder)| {
                let order = match holder.stage {
                    Stage::Since(begin) if now.saturating_duration_since(begin) >= self.grace => {
                        Order::Past(Reverse(at))
                    }
                    Stage::Since(_) => Order::Fresh(Reverse(at)),
                    // Who came last waits for the longest time yet.
                    Stage::Waiting | Stage::Trusted => Order::Waiting(at),
                };
                (holder.crowd, order, at)
            });
        let (crowd, order, at) = candidates.max()?;
        (own < crowd || matches!(order, Order::Past(_))).then_some(at)
    }
}

/// Who of a crowd goes last, first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Waiting(usize),
    Fresh(Reverse<usize>),
    Past(Reverse<usize>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(1);

    fn address(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    /// Who goes for a newcomer, of connections of `(address, stage)`: the stages are T(rusted), W(aiting), F(resh) and P(ast).
    fn victim(holders: &[(u8, char)], known: &[u8], newcomer: u8) -> Option<usize> {
        let now = Instant::now() + GRACE * 10;
        let mut crowds = Crowds::default();
        let members: Vec<_> = holders
            .iter()
            .map(|(number, _)| crowds.join(address(*number)))
            .collect();
        let own = crowds.join(address(newcomer));
        let holders = holders
            .iter()
            .zip(&members)
            .map(|((number, stage), crowd)| Holder {
                address: address(*number),
                crowd: crowd.size(),
                is_known: known.contains(number),
                stage: match stage {
                    'T' => Stage::Trusted,
                    'W' => Stage::Waiting,
                    'F' => Stage::Since(now),
                    _ => Stage::Since(now - GRACE),
                },
            });
        let holders: Vec<_> = holders.collect();
        let places = Places {
            number: holders.len(),
            grace: GRACE,
        };
        let own = (!known.contains(&newcomer)).then(|| own.size());
        places.victim(&holders, own, now)
    }

    #[test]
    fn the_largest_crowd_makes_room_and_in_it_who_had_most_time() {
        for (holders, newcomer, expected) in [
            // Of its own crowd the oldest whose time is over.
            (&[(1, 'F'), (1, 'P'), (1, 'P'), (2, 'P')][..], 1, Some(1)),
            // While all of it is fresh the newcomer has to wait; one of a smaller crowd has not.
            (&[(2, 'P'), (1, 'W'), (1, 'F'), (1, 'F')], 1, None),
            (&[(2, 'P'), (1, 'W'), (1, 'F'), (1, 'F')], 3, Some(2)),
            // Of those who wait the last one goes.
            (&[(1, 'W'), (1, 'W'), (2, 'W')], 3, Some(1)),
            // Crowds as large as the newcomer's own lose nobody but whose time is over.
            (&[(1, 'F'), (2, 'W'), (3, 'P'), (4, 'P')], 5, Some(2)),
            (&[(1, 'F'), (2, 'W'), (3, 'F')], 5, None),
            (&[(1, 'F'), (2, 'F'), (3, 'F')], 1, None),
            (&[(1, 'F'), (1, 'F'), (3, 'P')], 4, Some(0)),
            // The token is never given up.
            (&[(1, 'T'), (1, 'T'), (1, 'T')], 2, None),
            (&[(1, 'T'), (1, 'T'), (2, 'P')], 1, Some(2)),
        ] {
            let found = victim(holders, &[], newcomer);
            assert_eq!(found, expected, "{holders:?} {newcomer}");
        }
    }

    #[test]
    fn a_known_address_has_room_before_all_others() {
        // The conductor's is 9.
        for (holders, newcomer, expected) in [
            (&[(1, 'W'), (2, 'W'), (3, 'W'), (9, 'P')][..], 9, Some(2)),
            (&[(1, 'F'), (2, 'F'), (9, 'P'), (9, 'T')], 9, Some(0)),
            (&[(1, 'F'), (2, 'P'), (3, 'F'), (9, 'F')], 9, Some(1)),
            // Where there is nobody else, its own make room.
            (&[(9, 'T'), (9, 'F'), (9, 'P'), (9, 'T')], 9, Some(2)),
            (&[(9, 'T'), (9, 'T'), (9, 'T'), (9, 'T')], 9, None),
            // A stranger does not take its place, however long it was quiet.
            (&[(1, 'F'), (2, 'F'), (3, 'F'), (9, 'P')], 4, None),
        ] {
            let found = victim(holders, &[9], newcomer);
            assert_eq!(found, expected, "{holders:?} {newcomer}");
        }
    }

    #[test]
    fn who_shares_a_known_address_does_not_have_all_places_by_that() {
        let crowd = [(9, 'P'); 8];
        assert_eq!(victim(&crowd, &[9], 1), Some(0));
        let few = [
            (9, 'P'),
            (9, 'P'),
            (1, 'F'),
            (2, 'F'),
            (3, 'F'),
            (4, 'F'),
            (5, 'F'),
            (6, 'F'),
        ];
        assert_eq!(victim(&few, &[9], 7), None);
    }

    #[test]
    fn a_newcomer_finds_room_while_any_of_many_addresses_has_two_places() {
        let crowd: Vec<_> = (0..=254).flat_map(|number| [(number, 'W'); 2]).collect();
        assert_eq!(victim(&crowd, &[], 255), Some(509));
    }

    #[test]
    fn a_newcomer_of_a_crowded_network_finds_room_at_the_cost_of_the_address_with_most_connections()
    {
        let now = Instant::now();
        let mut crowds = Crowds::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut join = |text: &str| (ip(text), crowds.join(ip(text)));
        let others = [join("2001:db8:0:1::1"), join("2001:db8::3")];
        let crowd: Vec<_> = (0..4).map(|_| join("2001:db8::2")).collect();
        let conductor = join("2001:db8::1");
        let victim = |newcomer: &Crowd| {
            let holders = others.iter().chain(&crowd);
            let holders = holders.map(|(address, crowd)| Holder {
                address: *address,
                crowd: crowd.size(),
                is_known: false,
                stage: Stage::Since(now),
            });
            let places = Places {
                number: 6,
                grace: GRACE,
            };
            places.victim(&holders.collect::<Vec<_>>(), Some(newcomer.size()), now)
        };
        assert_eq!(victim(&conductor.1), Some(2));
        // The address with most finds none.
        assert_eq!(victim(&crowd[0].1), None);
    }

    #[test]
    fn the_connections_of_one_host_count_as_one_crowd_until_they_end() {
        let mut crowds = Crowds::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = crowds.join(ip("2001:db8::1"));
        let again = crowds.join(ip("2001:db8::1"));
        let second = crowds.join(ip("2001:db8::ffff:0:1"));
        let other = crowds.join(ip("2001:db8:0:1::1"));
        let size = |network, address| Size { network, address };
        let sizes = [&first, &again, &second, &other].map(Crowd::size);
        assert_eq!(sizes, [size(3, 2), size(3, 2), size(3, 1), size(1, 1)]);
        drop((again, second, other));
        crowds.tidy();
        assert_eq!(first.size(), size(1, 1));
        assert_eq!((crowds.networks.len(), crowds.addresses.len()), (1, 1));
    }
}
