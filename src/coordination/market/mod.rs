//! Markets: sealed auctions and the contract net.
//!
//! | purpose | item | source |
//! |---|---|---|
//! | auction of one item, or of several equal items | [`hold`] | Vickrey 1961: the second price, or with several winners the first price that loses |
//! | contract for one task, from the call for bids to its end | [`ContractNet`] | Smith 1980, FIPA SC00029 |
//! | contracts for several tasks, with a budget and reputation | [`Exchange`] | - |
//! | routing of a scheduler's tasks | [`routing::Auction`](crate::routing::Auction) | - |
//!
//! Amounts are integers in a unit of the host, so comparisons are exact. Tasks are assigned by *procurement*: the
//! lowest cost wins and is paid the second lowest.

mod contract_net;
mod exchange;
mod sealed;

pub use contract_net::{
    Config as ContractConfig, ContractError, ContractNet, Message, Rules as ContractRules, Standing, WhyFailed,
};
pub use exchange::{Exchange, ExchangeError};
pub use sealed::{Award, BadBid, Bid, Config, FULL_TRUST, Price, Rules, Side, hold};
