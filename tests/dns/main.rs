//! Host names, resolved with name servers on the loopback interface that answer as a test says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod link_local;
mod messages;
mod names;
mod servers;

use ferrite::dns::{Error, Resolver};
use ferrite::root::Root;
use support::name_server::{NameServer, machine};

/// The addresses of a name on a machine with this resolv.conf.
async fn lookup(resolv_conf: &str, name: &str) -> Result<Vec<String>, Error> {
    let folder = machine(resolv_conf);
    let root = Root::at(folder.path());
    let addresses = Resolver::new(&root).lookup(name).await?;
    Ok(addresses
        .into_iter()
        .map(|address| address.to_string().trim_end_matches(":0").to_owned())
        .collect())
}

/// The lines of resolv.conf that name these servers.
fn conf(servers: &[&NameServer]) -> String {
    servers.iter().map(|server| server.line()).collect()
}
