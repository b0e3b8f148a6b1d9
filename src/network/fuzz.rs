//! Any bytes as what routers of a link advertise of names.

use super::router_dns::RouterDns;
use std::time::Instant;

/// Takes them in two halves, as two advertisements.
pub(crate) fn router_options(bytes: &[u8]) {
    let mut dns = RouterDns::default();
    let (one, two) = bytes.split_at(bytes.len() / 2);
    let now = Instant::now();
    for options in [bytes, one, two] {
        dns.learn(options, now);
        dns.expire(now);
        let _ = dns.dns_config("eth0");
    }
}
