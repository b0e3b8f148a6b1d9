//! A DHCPv4 server that says what a test tells it to. It writes its messages itself, byte by byte,
//! so that it can err.

use crate::TIMEOUT;
use crate::machine::ip;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

/// The server's own address.
pub(crate) const SERVER: [u8; 4] = [192, 0, 2, 1];
/// What it offers.
pub(crate) const OFFERED: [u8; 4] = [192, 0, 2, 77];

pub(crate) struct Server {
    socket: UdpSocket,
    interface: String,
}

/// What a client sent.
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: SocketAddr,
}

impl Server {
    /// A server at this end of a cable.
    pub(crate) fn start(interface: &str) -> Self {
        let address = format!("{}/24", Ipv4Addr::from(SERVER));
        ip(&["address", "add", &address, "dev", interface]);
        Self::listen(interface)
    }

    /// A server that has no address itself.
    pub(crate) fn listen(interface: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.bind_device(Some(interface.as_bytes())).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 67);
        socket.bind(&address.into()).unwrap();
        Self {
            socket: socket.into(),
            interface: interface.into(),
        }
    }

    /// The next message of this type.
    pub(crate) fn receive(&self, message_type: u8) -> Request {
        loop {
            let request = self.next();
            if request.option(53) == Some(vec![message_type]) {
                return request;
            }
        }
    }

    fn next(&self) -> Request {
        let mut bytes = vec![0; 1500];
        let (length, from) = self.socket.recv_from(&mut bytes).expect("a request");
        bytes.truncate(length);
        Request { bytes, from }
    }

    /// Broadcasts bytes.
    pub(crate) fn broadcast(&self, bytes: &[u8]) {
        self.send(bytes, Ipv4Addr::BROADCAST);
    }

    /// Sends bytes to the client that asked, at the offered address, as if it had it already.
    pub(crate) fn unicast(&self, request: &Request, bytes: &[u8]) {
        let mac: Vec<String> = request
            .mac()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let offered = Ipv4Addr::from(OFFERED).to_string();
        let mac = mac.join(":");
        ip(&[
            "neighbour",
            "replace",
            &offered,
            "lladdr",
            &mac,
            "dev",
            &self.interface,
        ]);
        self.send(bytes, OFFERED.into());
    }

    fn send(&self, bytes: &[u8], to: Ipv4Addr) {
        self.socket.send_to(bytes, (to, 68)).unwrap();
    }

    /// Offers and acknowledges the address, with these options beside the lease's time.
    pub(crate) fn lease(&self, options: &[u8]) {
        loop {
            let request = self.next();
            match request.option(53).as_deref() {
                // Also once more, of a client that began anew: it takes no offer to what it asked before.
                Some([DISCOVER]) => self.broadcast(&request.reply(OFFER, options)),
                Some([REQUEST]) => return self.broadcast(&request.reply(ACK, options)),
                _ => {}
            }
        }
    }
}

impl Request {
    fn mac(&self) -> &[u8] {
        &self.bytes[28..34]
    }

    /// The value of an option.
    pub(crate) fn option(&self, code: u8) -> Option<Vec<u8>> {
        let mut rest = &self.bytes[240..];
        while let [found, length, behind @ ..] = rest {
            let length = usize::from(*length);
            if *found == code {
                return Some(behind[..length].to_vec());
            }
            rest = behind.get(length..)?;
        }
        None
    }

    /// A reply that has these options before those that each has.
    pub(crate) fn reply(&self, message_type: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = self.reply_without_server(message_type, options);
        bytes.pop();
        bytes.extend([54, 4]);
        bytes.extend(SERVER);
        bytes.push(255);
        bytes
    }

    /// A reply that does not say which server it is from.
    pub(crate) fn reply_without_server(&self, message_type: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..3].copy_from_slice(&[2, 1, 6]);
        bytes[4..8].copy_from_slice(&self.bytes[4..8]);
        bytes[16..20].copy_from_slice(&OFFERED);
        bytes[28..34].copy_from_slice(self.mac());
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend(options);
        bytes.extend([53, 1, message_type, 51, 4, 0, 0, 14, 16, 255]);
        bytes
    }
}

pub(crate) const DISCOVER: u8 = 1;
pub(crate) const OFFER: u8 = 2;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const ACK: u8 = 5;
pub(crate) const NAK: u8 = 6;
/// The option that says `255.255.255.0`.
pub(crate) const MASK_24: [u8; 6] = [1, 4, 255, 255, 255, 0];
