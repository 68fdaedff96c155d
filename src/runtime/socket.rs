//! The one UDP socket. Owns how it is bound, what is asked of the kernel for it, and what became of each
//! datagram handed to the kernel. An error is a fact about one datagram, never the end of the socket. Knows
//! no node.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Type};

use crate::base::limits::{DATAGRAM_BYTES_MAX, SEND_BACKLOG_DATAGRAMS_MAX, SOCKET_BUFFER_BYTES};

/// The socket, non-blocking, with what could not be sent yet.
pub(super) struct Socket {
    inner: UdpSocket,
    bound: SocketAddr,
    buffers: Buffers,
    counters: Counters,
    backlog: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Registered for writability too: only while something waits, because on Linux each datagram that
    /// leaves the kernel's queue would wake the loop otherwise.
    awaits_writable: bool,
    received: Box<[u8; RECEIVE_BYTES]>,
}

/// What the kernel granted of `SOCKET_BUFFER_BYTES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buffers {
    pub receive_bytes: usize,
    pub send_bytes: usize,
}

/// What became of datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub received: u64,
    pub sent: u64,
    /// Longer than any of ours: dropped unread.
    pub oversized: u64,
    /// The kernel had no room for it, and neither had the backlog.
    pub overflowed: u64,
    /// Larger than the path takes (`EMSGSIZE`).
    pub too_large: u64,
    /// No way there: no route, a network that is down, an address of the other family.
    pub unroutable: u64,
    /// An ICMP error said that nobody listens there.
    pub refused: u64,
    /// The kernel's queues were full (`ENOBUFS`).
    pub no_buffers: u64,
    /// Any other error.
    pub failed: u64,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{0} is in use by another process; choose another address with --listen ADDR")]
    InUse(SocketAddr),
    #[error("{0} is no address of this machine; choose one with --listen ADDR")]
    NotHere(SocketAddr),
    #[error("may not listen on {0}: ports below 1024 are the system's; choose another with --listen ADDR")]
    NotAllowed(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, io::Error),
}

/// An address of `ip` at which nothing listens now, for a node that is to have one before it starts. Nothing keeps another
/// process from taking it meanwhile.
///
/// # Errors
/// [`BindError`], such as for an address that this machine does not have.
pub fn free_address(ip: IpAddr) -> Result<SocketAddr, BindError> {
    Ok(Socket::bind(Some(SocketAddr::new(ip, 0)))?.bound)
}

impl Socket {
    /// Binds `address`, which must be free. Without one it is the default port on all interfaces, or any
    /// free port where that one is taken.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(address: Option<SocketAddr>) -> Result<Self, BindError> {
        if let Some(address) = address {
            return Self::bind_to(address);
        }
        match Self::bind_to(SocketAddr::new(WILDCARD, DEFAULT_PORT)) {
            Err(BindError::InUse(_)) => Self::bind_to(SocketAddr::new(WILDCARD, 0)),
            bound => bound,
        }
    }

    fn bind_to(address: SocketAddr) -> Result<Self, BindError> {
        open(address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            io::ErrorKind::AddrNotAvailable => BindError::NotHere(address),
            io::ErrorKind::PermissionDenied => BindError::NotAllowed(address),
            _ => BindError::Other(address, error),
        })
    }

    /// Watches the socket for input.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.inner.register(registry, token, Interest::READABLE)
    }

    /// The address it is bound to, with the port that the kernel chose if it was asked to.
    #[must_use]
    pub fn bound(&self) -> SocketAddr {
        self.bound
    }

    #[must_use]
    pub fn buffers(&self) -> Buffers {
        self.buffers
    }

    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The next datagram that has arrived, or `None` when there is no more. At most
    /// `DATAGRAM_BYTES_MAX` bytes.
    pub fn receive(&mut self) -> Option<(SocketAddr, &[u8])> {
        // An error queued by ICMP is taken off the queue by the call that reports it; the bound is against a
        // kernel that repeats one for ever.
        for _ in 0..ERRORS_IN_A_ROW_MAX {
            match self.inner.recv_from(self.received.as_mut_slice()) {
                Ok((len, _)) if len > DATAGRAM_BYTES_MAX => self.counters.oversized += 1,
                Ok((len, from)) => {
                    self.counters.received += 1;
                    return Some((from, &self.received[..len]));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => self.counters.note(&error),
            }
        }
        None
    }

    /// Sends one datagram, or keeps it until the kernel has room. The oldest that waits gives way where
    /// `SEND_BACKLOG_DATAGRAMS_MAX` do: what is newer says more.
    pub fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        let must_wait = !self.backlog.is_empty() || !self.try_send(to, &bytes);
        if must_wait {
            self.keep(to, bytes);
        }
    }

    /// Sends what waits, as far as the kernel takes it, and watches for writability exactly while something
    /// waits. Called when the socket became writable, and once a turn.
    ///
    /// # Errors
    /// What the kernel says to the change of interest.
    pub fn flush(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        while let Some((to, bytes)) = self.backlog.pop_front() {
            if !self.try_send(to, &bytes) {
                self.backlog.push_front((to, bytes));
                break;
            }
        }
        let wanted = !self.backlog.is_empty();
        if wanted != self.awaits_writable {
            let interest = if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            self.inner.reregister(registry, token, interest)?;
            self.awaits_writable = wanted;
        }
        Ok(())
    }

    /// Whether everything handed over has left.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.backlog.is_empty()
    }

    fn keep(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        if self.backlog.len() >= SEND_BACKLOG_DATAGRAMS_MAX {
            self.backlog.pop_front();
            self.counters.overflowed += 1;
        }
        self.backlog.push_back((to, bytes));
    }

    /// `false` when the kernel has no room now.
    fn try_send(&mut self, to: SocketAddr, bytes: &[u8]) -> bool {
        if to.is_ipv4() != self.bound.is_ipv4() {
            self.counters.unroutable += 1;
            return true;
        }
        match self.inner.send_to(bytes, to) {
            Ok(_) => self.counters.sent += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => self.counters.note(&error),
        }
        true
    }
}

impl Counters {
    /// Each with its name, for status.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("udp_received", self.received),
            ("udp_sent", self.sent),
            ("udp_oversized", self.oversized),
            ("udp_send_overflowed", self.overflowed),
            ("udp_too_large", self.too_large),
            ("udp_unroutable", self.unroutable),
            ("udp_refused", self.refused),
            ("udp_no_buffers", self.no_buffers),
            ("udp_failed", self.failed),
        ]
        .into_iter()
    }

    fn note(&mut self, error: &io::Error) {
        tracing::debug!(error = %error, "socket error");
        let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
        match code {
            Some(rustix::io::Errno::MSGSIZE) => self.too_large += 1,
            Some(rustix::io::Errno::NOBUFS | rustix::io::Errno::NOMEM) => self.no_buffers += 1,
            Some(rustix::io::Errno::CONNREFUSED) => self.refused += 1,
            Some(
                rustix::io::Errno::HOSTUNREACH
                | rustix::io::Errno::NETUNREACH
                | rustix::io::Errno::NETDOWN
                | rustix::io::Errno::ADDRNOTAVAIL
                | rustix::io::Errno::HOSTDOWN,
            ) => self.unroutable += 1,
            Some(_) | None => self.failed += 1,
        }
    }
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel grants what `net.core.rmem_max` allows and says nothing; what it granted is read back.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    let buffers =
        Buffers { receive_bytes: granted(socket.recv_buffer_size()?), send_bytes: granted(socket.send_buffer_size()?) };
    forbid_fragments(&socket, address)?;
    socket.bind(&SockAddr::from(address))?;
    let inner = UdpSocket::from_std(socket.into());
    let bound = inner.local_addr()?;
    Ok(Socket {
        inner,
        bound,
        buffers,
        counters: Counters::default(),
        backlog: VecDeque::new(),
        awaits_writable: false,
        received: Box::new([0; RECEIVE_BYTES]),
    })
}

/// Linux reports twice what may be used: the other half is its own bookkeeping (`man 7 socket`).
fn granted(reported_bytes: usize) -> usize {
    if cfg!(target_os = "linux") { reported_bytes / 2 } else { reported_bytes }
}

/// Sets DF. `PROBE` rather than `DO`: our datagrams fit every path, and a forged ICMP message that claims a
/// smaller one must not be able to stop them.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn forbid_fragments(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    if address.is_ipv4() {
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE)?;
    } else {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE)?;
    }
    Ok(())
}

/// Elsewhere the option (`IP_DONTFRAG`) has no safe binding among our crates. Datagrams of 1,200 bytes are
/// not cut on any common path, so the bit would change nothing that is seen.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn forbid_fragments(_socket: &socket2::Socket, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Where a node listens unless told otherwise.
pub(super) const DEFAULT_PORT: u16 = 4460;
const WILDCARD: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// One more than a datagram of ours, so that a longer one shows.
const RECEIVE_BYTES: usize = DATAGRAM_BYTES_MAX + 1;
/// A guess: more than the errors that one turn's datagrams can have caused.
const ERRORS_IN_A_ROW_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Socket {
        Socket::bind(Some("127.0.0.1:0".parse().unwrap())).unwrap()
    }

    fn receive_soon(socket: &mut Socket) -> Option<(SocketAddr, Vec<u8>)> {
        let mut poll = mio::Poll::new().unwrap();
        socket.register(poll.registry(), Token(0)).unwrap();
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(std::time::Duration::from_secs(5))).unwrap();
        socket.receive().map(|(from, bytes)| (from, bytes.to_vec()))
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = loopback();
        let error = Socket::bind(Some(first.bound())).err().unwrap().to_string();
        let address = first.bound();
        assert_eq!(error, format!("{address} is in use by another process; choose another address with --listen ADDR"));
    }

    #[test]
    fn without_an_address_there_is_always_a_port() {
        let first = Socket::bind(None).unwrap();
        let second = Socket::bind(None).unwrap();
        assert_ne!(first.bound().port(), second.bound().port());
    }

    #[test]
    fn what_is_sent_arrives() {
        let (mut ana, mut bo) = (loopback(), loopback());
        ana.send(bo.bound(), b"hello".to_vec());
        assert_eq!(receive_soon(&mut bo), Some((ana.bound(), b"hello".to_vec())));
        assert_eq!((ana.counters().sent, bo.counters().received), (1, 1));
    }

    #[test]
    fn an_oversized_datagram_is_counted_and_skipped() {
        let (mut ana, mut bo) = (loopback(), loopback());
        ana.send(bo.bound(), vec![0; DATAGRAM_BYTES_MAX + 1]);
        ana.send(bo.bound(), vec![1; DATAGRAM_BYTES_MAX]);
        assert_eq!(receive_soon(&mut bo).unwrap().1.len(), DATAGRAM_BYTES_MAX);
        assert_eq!(bo.counters().oversized, 1);
    }

    #[test]
    fn an_error_is_about_one_datagram() {
        let (mut ana, mut bo) = (loopback(), loopback());
        ana.send("[::1]:9".parse().unwrap(), vec![0]);
        ana.send(bo.bound(), vec![0; 70_000]);
        ana.send(bo.bound(), b"still here".to_vec());
        assert_eq!(receive_soon(&mut bo).unwrap().1, b"still here");
        assert_eq!((ana.counters().unroutable, ana.counters().too_large), (1, 1));
    }

    #[test]
    fn the_backlog_is_bounded_and_the_oldest_gives_way() {
        let (mut ana, bo) = (loopback(), loopback());
        for number in 0..=SEND_BACKLOG_DATAGRAMS_MAX {
            ana.keep(bo.bound(), number.to_be_bytes().to_vec());
        }
        assert_eq!(ana.backlog.len(), SEND_BACKLOG_DATAGRAMS_MAX);
        assert_eq!(ana.backlog.front().unwrap().1, 1_usize.to_be_bytes());
        assert_eq!(ana.counters().overflowed, 1);
        let poll = mio::Poll::new().unwrap();
        ana.register(poll.registry(), Token(0)).unwrap();
        ana.flush(poll.registry(), Token(0)).unwrap();
        assert!(ana.is_flushed() || ana.awaits_writable);
    }
}
