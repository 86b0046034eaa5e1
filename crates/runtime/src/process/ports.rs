//! Which ports a decky of this host gets: the standard ones where they may be bound, else the same ones above an offset.
//!
//! Found out by binding, since who may bind what depends on rights, kernel settings and what else runs here. All
//! ports of a decky are shifted or none is: a machine with half of its services elsewhere would be told apart at once.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
};

use decnet_fleet::{
    DeckyPlan,
    catalogue::{Port, Proto},
};

use crate::RuntimeError;

/// What is added to each standard port of `plan`.
pub(super) fn choose(plan: &DeckyPlan, offset: u16) -> Result<u16, RuntimeError> {
    let ports: Vec<Port> = plan.services.iter().flat_map(|service| service.ports.iter().copied()).collect();
    let Err(standard) = try_all(plan.ip(), &ports, 0) else { return Ok(0) };
    match try_all(plan.ip(), &ports, offset) {
        Ok(()) => Ok(offset),
        Err(shifted) => Err(RuntimeError::Ports { decky: plan.name().clone(), offset, standard, shifted }),
    }
}

fn try_all(ip: IpAddr, ports: &[Port], base: u16) -> Result<(), String> {
    ports.iter().try_for_each(|port| {
        let number = port.number.checked_add(base).ok_or_else(|| format!("{port} + {base} is no port"))?;
        let addr = SocketAddr::new(ip, number);
        bind(addr, port.proto).map_err(|error| format!("{addr}: {error}"))
    })
}

fn bind(addr: SocketAddr, proto: Proto) -> io::Result<()> {
    match proto {
        Proto::Tcp => TcpListener::bind(addr).map(drop),
        Proto::Udp => UdpSocket::bind(addr).map(drop),
    }
}
