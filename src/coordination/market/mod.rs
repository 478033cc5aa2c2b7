//! Markets: sealed auctions and the contract net.
//!
//! | what | with | source |
//! |---|---|---|
//! | one thing, or several alike | [`hold`] | Vickrey 1961: the second price, or the first after the last winner |
//! | work, from the call to its end | [`ContractNet`] | Smith 1980, FIPA SC00029 |
//! | many pieces of work, a budget, and memory | [`Exchange`] | - |
//! | a task of a scheduler | [`routing::Auction`](crate::routing::Auction) | - |
//!
//! Amounts are whole numbers in a unit of the host's: there is no bid that is not a number, and two readers never differ on
//! which is the least. Work is given out by *procurement*: the lowest cost wins, and is paid the second lowest.

mod contract_net;
mod exchange;
mod sealed;

pub use contract_net::{
    Config as ContractConfig, ContractError, ContractNet, Message, Rules as ContractRules, Standing, WhyFailed,
};
pub use exchange::{Exchange, ExchangeError};
pub use sealed::{Award, BadBid, Bid, Config, FULL_TRUST, Price, Rules, Side, hold};
