//! Which answers to our own checks str0m hears of. It makes a local candidate of every address under which an answer says that we are
//! seen, forgets none, goes over all of them with each answer, and takes any number of answers to one check. So a peer that answers
//! what it was asked, again and again and with another address each time, would cost more and more.

use std::collections::VecDeque;
use std::net::SocketAddr;

use arrayvec::ArrayVec;

use super::TransactionId;

/// Checks whose answers are waited for. str0m sends one every 50 ms at the most, so they are those of three seconds.
const OUTSTANDING_MAX: usize = 64;
/// Addresses under which a peer sees us, beside those that we tell, in the life of a connection: one or two where a NAT stands in
/// front of us, and as many again for each network that the peer moves to.
pub(crate) const MAPPED_ADDRESSES_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Answers {
    outstanding: VecDeque<TransactionId>,
    ours: Box<[SocketAddr]>,
    mapped: ArrayVec<SocketAddr, MAPPED_ADDRESSES_MAX>,
}

impl Answers {
    /// `ours`: what str0m has as local candidates from the start.
    pub fn new(ours: impl Iterator<Item = SocketAddr>) -> Self {
        Self { outstanding: VecDeque::new(), ours: ours.collect(), mapped: ArrayVec::new() }
    }

    /// We sent a check. Of too many the oldest is not waited for any more.
    pub fn asked(&mut self, id: TransactionId) {
        if self.outstanding.len() == OUTSTANDING_MAX {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back(id);
    }

    /// A success response to the check `id` came; `mapped` verifies it and reads the address. Whether str0m may hear of it: only of
    /// the first authentic one to each check, and of so many addresses.
    pub fn admits(&mut self, id: &TransactionId, mapped: impl FnOnce() -> Option<SocketAddr>) -> bool {
        let Some(at) = self.outstanding.iter().position(|known| known == id) else { return false };
        // who cannot prove to be the peer shall not spoil its answer
        let Some(mapped) = mapped() else { return false };
        self.outstanding.remove(at);
        self.ours.contains(&mapped) || self.mapped.contains(&mapped) || self.mapped.try_push(mapped).is_ok()
    }
}
