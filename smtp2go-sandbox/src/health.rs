//! `smtp2go-sandbox health`: for the health checks of containers.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Timeout of the connect, of each write and of each read.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// The sandbox's port
    #[arg(long, default_value_t = 4020)]
    port: u16,

    /// The sandbox's address; 0.0.0.0 and :: mean the loopback address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
}

impl Health {
    /// Requests `/_sandbox` without a key. A sandbox that replies 401 because it requires a key is
    /// healthy too.
    pub(crate) fn check(&self) -> io::Result<()> {
        let address = SocketAddr::new(reachable(self.host), self.port);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let reply = ask(address).map_err(named)?;
        let (status, _) = reply.split_once('\r').unwrap_or((&reply, ""));
        let answers = status.contains(" 200 ") || status.contains(" 401 ");
        if answers && reply.contains("smtp2go-sandbox") {
            return Ok(());
        }
        let text = format!("not the reply of a healthy smtp2go-sandbox: {status:?}");
        Err(named(io::Error::other(text)))
    }
}

/// Returns the address at which this machine reaches a server that listens on `host`.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(all) if all.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(all) if all.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one => one,
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET /_sandbox HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    // The sandbox's reply is much shorter, but another server's may be endless.
    stream.take(64 * 1024).read_to_end(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}
