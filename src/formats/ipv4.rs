//! UDP over IPv4 as whole packets (RFC 791, RFC 768), for a host that has no address yet.

use super::le_bytes::{array, put};
use core::net::SocketAddrV4;

/// Returns the payload of a packet that holds a complete UDP datagram to this port; `None` for any
/// other packet.
///
/// The UDP checksum is not verified. A packet that never leaves the machine (of a virtual one) has
/// no checksum yet, and on the wire the link has its own.
#[must_use]
pub fn udp_payload(packet: &[u8], destination_port: u16) -> Option<&[u8]> {
    let [version_and_words, protocol] = [*packet.first()?, *packet.get(9)?];
    let header = usize::from(version_and_words & 0xF) * 4;
    let length = u16::from_be_bytes(array(packet, 2)?);
    let fragment = u16::from_be_bytes(array(packet, 6)?);
    let is_udp = version_and_words >> 4 == 4 && header >= IP_HEADER && protocol == UDP;
    if !is_udp || fragment & FRAGMENT != 0 {
        return None;
    }
    // The link may have padded the packet.
    let datagram = packet.get(header..usize::from(length))?;
    let port = u16::from_be_bytes(array(datagram, 2)?);
    let length = u16::from_be_bytes(array(datagram, 4)?);
    let payload = datagram.get(UDP_HEADER..usize::from(length))?;
    (port == destination_port).then_some(payload)
}

/// Encodes a packet with one UDP datagram; `None` if the payload is too long for one.
#[must_use]
pub fn udp_packet(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Option<Vec<u8>> {
    let datagram_length = u16::try_from(UDP_HEADER + payload.len()).ok()?;
    let length = u16::try_from(IP_HEADER + UDP_HEADER + payload.len()).ok()?;
    let mut packet = vec![0; IP_HEADER + UDP_HEADER];
    put(&mut packet, 0, &[0x45]);
    put(&mut packet, 2, &length.to_be_bytes());
    put(&mut packet, 8, &[TIME_TO_LIVE, UDP]);
    put(&mut packet, 12, &from.ip().octets());
    put(&mut packet, 16, &to.ip().octets());
    let header_sum = checksum(sum(packet.get(..IP_HEADER)?));
    put(&mut packet, 10, &header_sum.to_be_bytes());
    put(&mut packet, IP_HEADER, &from.port().to_be_bytes());
    put(&mut packet, IP_HEADER + 2, &to.port().to_be_bytes());
    put(&mut packet, IP_HEADER + 4, &datagram_length.to_be_bytes());
    packet.extend(payload);
    // Pseudo header: both addresses, the protocol, the length.
    let pseudo = sum(packet.get(12..IP_HEADER)?) + u32::from(UDP) + u32::from(datagram_length);
    let datagram_sum = match checksum(pseudo + sum(packet.get(IP_HEADER..)?)) {
        // Zero would mean that there is no checksum.
        0 => u16::MAX,
        sum => sum,
    };
    put(&mut packet, IP_HEADER + 6, &datagram_sum.to_be_bytes());
    Some(packet)
}

/// Returns the sum of 16-bit words, the last one padded with zeroes. Packets are too short for an
/// overflow.
fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words = words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)));
    words.sum::<u32>() + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

/// Computes the checksum from a sum of words (RFC 1071).
fn checksum(sum: u32) -> u16 {
    let [high, low] = split(sum);
    let [high, low] = split(high + low);
    let [_, folded] = split(high + low);
    !u16::try_from(folded).unwrap_or_default()
}

fn split(sum: u32) -> [u32; 2] {
    [sum >> 16, sum & 0xFFFF]
}

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;
const TIME_TO_LIVE: u8 = 64;
/// Mask of the "more fragments" flag and the fragment offset.
const FRAGMENT: u16 = 0x3FFF;

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    const TO: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);

    /// Verifies bytes that include their checksum, as a receiver does.
    fn is_whole(bytes: &[u8], pseudo: u32) -> bool {
        checksum(sum(bytes) + pseudo) == 0
    }

    #[test]
    fn a_packet_has_both_checksums() {
        for payload in [&b"even"[..], b"odd", b""] {
            let packet = udp_packet(FROM, TO, payload).unwrap();
            assert!(is_whole(&packet[..20], 0));
            let length = u32::try_from(packet.len() - 20).unwrap();
            assert!(is_whole(&packet[20..], sum(&packet[12..20]) + 17 + length));
            assert_eq!(udp_payload(&packet, 67), Some(payload));
            assert_eq!(udp_payload(&packet, 68), None);
        }
        assert_eq!(udp_packet(FROM, TO, &vec![0; 65_508]), None);
    }

    #[test]
    fn a_packet_is_laid_out_as_the_rfcs_say() {
        let packet = udp_packet(FROM, TO, b"a").unwrap();
        // Computed by hand: 4500 + 001d + 4011 + ffff + ffff, folded and inverted.
        assert_eq!(
            packet[..28],
            [
                0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0x7A, 0xD1, 0, 0, 0, 0, 255, 255, 255, 255, 0,
                68, 0, 67, 0, 9, 0x9E, 0x55
            ]
        );
    }

    #[test]
    fn options_and_padding_are_passed_over() {
        let mut packet = udp_packet(FROM, TO, b"payload").unwrap();
        packet.splice(20..20, [1, 1, 1, 1]);
        packet[0] = 0x46;
        packet[3] += 4;
        packet.extend([0; 9]);
        assert_eq!(udp_payload(&packet, 67), Some(&b"payload"[..]));
    }

    #[test]
    fn what_is_no_whole_datagram_is_none() {
        let packet = udp_packet(FROM, TO, b"payload").unwrap();
        for (at, byte) in [
            (0, 0x65),
            (0, 0x44),
            (9, 6),
            (6, 0x20),
            (7, 1),
            (2, 1),
            (25, 200),
            (25, 7),
        ] {
            let mut other = packet.clone();
            other[at] = byte;
            assert_eq!(udp_payload(&other, 67), None, "{at}: {byte}");
        }
        assert_eq!(udp_payload(&packet[..packet.len() - 1], 67), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), words in 0_u8..16) {
            let mut packet = bytes;
            put(&mut packet, 0, &[0x40 | words]);
            put(&mut packet, 9, &[UDP]);
            let _none = udp_payload(&packet, 67);
        }
    }
}
