//! Limits the connections of a listener, and selects the one to evict for a new one.
//!
//! Addresses that showed the token have priority. Among the others, each network has the same
//! share: the largest crowd makes room. Within a crowd, connections past their turn and their grace
//! period go first. To block a new connection, an unauthenticated client needs as many addresses as
//! there are places. Even then it loses each place after [`Limits::grace`](super::Limits).

use super::auth_throttle::client_prefix;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Number of connections from one network and from one address. The network is compared first, so
/// many addresses in one network give no larger share. Within a network, each address has the same
/// share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    network: usize,
    address: usize,
}

/// Stage of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The peer has had its turn since then: it connected, or the agent processed its part of the
    /// handshake.
    Since(Instant),
    /// The client showed the token; its connection is never evicted.
    Trusted,
    /// It waits in the handshake queue.
    Waiting,
}

/// Connection counts by network and by address. They are read for each new connection, even in a
/// flood, so they are maintained as reference counts instead of being recounted.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    networks: HashMap<IpAddr, Arc<()>>,
    addresses: HashMap<IpAddr, Arc<()>>,
}

/// Membership of a connection in the counts of its network and its address.
#[derive(Debug)]
pub(super) struct Crowd {
    network: Arc<()>,
    address: Arc<()>,
}

impl Crowds {
    /// Counts a connection until the returned value is dropped.
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

    /// Removes networks and addresses without connections.
    pub(super) fn tidy(&mut self) {
        for table in [&mut self.networks, &mut self.addresses] {
            table.retain(|_, members| number(members) > 0);
        }
    }
}

impl Crowd {
    /// Returns the connection counts, this connection included.
    pub(super) fn size(&self) -> Size {
        Size {
            network: number(&self.network),
            address: number(&self.address),
        }
    }
}

/// The table holds one reference.
fn number(members: &Arc<()>) -> usize {
    Arc::strong_count(members) - 1
}

/// A connection, as far as it matters for eviction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub(super) address: IpAddr,
    /// Connections of its network and of its address, the new connection included.
    pub(super) crowd: Size,
    /// The address showed the token, on this connection or another.
    pub(super) is_known: bool,
    pub(super) stage: Stage,
}

/// Connection limit of one listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Maximum number of connections.
    pub(super) number: usize,
    /// Grace period of a connection against others of a crowd as large as its own.
    pub(super) grace: Duration,
}

impl Places {
    /// Selects the connection to evict from `holders`, which are ordered oldest first. Returns
    /// nothing if the new connection must be refused. `own` is the size of its crowd, itself
    /// included. It is `None` if the address showed the token, which gives it a right to a place.
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
        // Clients that share a known address, behind a NAT router, must not occupy all places.
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

    /// Selects, from the largest crowd, the connection that had most time. If that crowd is no
    /// larger than the new connection's, only one past its grace period can be selected.
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
                    // The connection that came last still has the longest wait.
                    Stage::Waiting | Stage::Trusted => Order::Waiting(at),
                };
                (holder.crowd, order, at)
            });
        let (crowd, order, at) = candidates.max()?;
        (own < crowd || matches!(order, Order::Past(_))).then_some(at)
    }
}

/// Order of eviction within a crowd: the greatest goes first.
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

    /// Returns the connection evicted for a new one, among `(address, stage)`: the stages are
    /// T(rusted), W(aiting), F(resh) and P(ast).
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
            // The oldest of its own crowd that is past its grace period.
            (&[(1, 'F'), (1, 'P'), (1, 'P'), (2, 'P')][..], 1, Some(1)),
            // While all of it is fresh, a new connection of the same crowd is refused, but not one
            // of a smaller crowd.
            (&[(2, 'P'), (1, 'W'), (1, 'F'), (1, 'F')], 1, None),
            (&[(2, 'P'), (1, 'W'), (1, 'F'), (1, 'F')], 3, Some(2)),
            // Among waiting connections the last one goes.
            (&[(1, 'W'), (1, 'W'), (2, 'W')], 3, Some(1)),
            // Crowds as large as the new connection's lose only connections past their grace
            // period.
            (&[(1, 'F'), (2, 'W'), (3, 'P'), (4, 'P')], 5, Some(2)),
            (&[(1, 'F'), (2, 'W'), (3, 'F')], 5, None),
            (&[(1, 'F'), (2, 'F'), (3, 'F')], 1, None),
            (&[(1, 'F'), (1, 'F'), (3, 'P')], 4, Some(0)),
            // A connection that showed the token is never evicted.
            (&[(1, 'T'), (1, 'T'), (1, 'T')], 2, None),
            (&[(1, 'T'), (1, 'T'), (2, 'P')], 1, Some(2)),
        ] {
            let found = victim(holders, &[], newcomer);
            assert_eq!(found, expected, "{holders:?} {newcomer}");
        }
    }

    #[test]
    fn a_known_address_has_room_before_all_others() {
        // The conductor's address is 9.
        for (holders, newcomer, expected) in [
            (&[(1, 'W'), (2, 'W'), (3, 'W'), (9, 'P')][..], 9, Some(2)),
            (&[(1, 'F'), (2, 'F'), (9, 'P'), (9, 'T')], 9, Some(0)),
            (&[(1, 'F'), (2, 'P'), (3, 'F'), (9, 'F')], 9, Some(1)),
            // Without other connections, its own make room.
            (&[(9, 'T'), (9, 'F'), (9, 'P'), (9, 'T')], 9, Some(2)),
            (&[(9, 'T'), (9, 'T'), (9, 'T'), (9, 'T')], 9, None),
            // An unknown address does not take its place, however long it idled.
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
        // The address with most connections is refused.
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
