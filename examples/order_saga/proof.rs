//! Compares the accounts of the services with the outcomes of the orders.

use crate::tally::{Tale, Tally};
use crate::world::{Account, Books};
use counterpoint::RunOutcome;

/// Everything that does not balance, a sentence each. Empty: the books balance.
pub fn prove(tally: &Tally, books: &Books, orders: impl Iterator<Item = u64>) -> Vec<String> {
    let mut wrong = shelves(books);
    let mut seen = 0;
    for order in orders {
        seen += 1;
        let account = books.accounts.get(&order).copied().unwrap_or_default();
        let Some(tale) = tally.tales.get(&order) else {
            wrong.push(format!("order {order} was never accepted"));
            continue;
        };
        wrong.extend(tale.wrong.iter().map(|what| format!("order {order}: {what}")));
        wrong.extend(once(&account).into_iter().chain(settled(&account)).map(|what| format!("order {order}: {what}")));
        wrong.extend(agrees(tale, &account).map(|what| format!("order {order}: {what}: {account:?}")));
    }
    if tally.tales.len() != seen {
        wrong.push(format!("{seen} orders were placed, the journal contains {}", tally.tales.len()));
    }
    wrong
}

/// Nothing was promised twice that is there once.
fn shelves(books: &Books) -> Vec<String> {
    let over = |(product, shelf): (usize, &crate::world::Shelf)| {
        (shelf.reserved + shelf.shipped > shelf.initial).then(|| {
            let (reserved, shipped, initial) = (shelf.reserved, shelf.shipped, shelf.initial);
            format!("product {product} is oversold: {reserved} reserved and {shipped} shipped of {initial}")
        })
    };
    let left: u32 = books.shelves.iter().map(|shelf| shelf.reserved).sum();
    let kept = (left > 0).then(|| format!("{left} items are reserved for no order"));
    books.shelves.iter().enumerate().filter_map(over).chain(kept).collect()
}

/// No effect happened twice.
fn once(account: &Account) -> Vec<String> {
    let counted = [
        ("reserved", account.reserved),
        ("released", account.released),
        ("charged", account.charged),
        ("refunded", account.refunded),
        ("shipped", account.shipped),
        ("told", account.told),
    ];
    counted.into_iter().filter(|(_, times)| *times > 1).map(|(what, times)| format!("{what} {times} times")).collect()
}

/// Every charge has a shipment or a refund, every reservation is shipped or released.
fn settled(account: &Account) -> Vec<String> {
    let mut wrong = Vec::new();
    if account.charged != account.shipped + account.refunded {
        wrong.push(format!("charged {}, shipped {}, refunded {}", account.charged, account.shipped, account.refunded));
    }
    if account.reserved != account.shipped + account.released {
        wrong
            .push(format!("reserved {}, shipped {}, released {}", account.reserved, account.shipped, account.released));
    }
    if account.told > account.shipped {
        wrong.push("the customer was notified of a parcel that was not shipped".to_owned());
    }
    wrong
}

/// The run ended once, and says of the world what is the case.
fn agrees(tale: &Tale, account: &Account) -> Option<String> {
    let [outcome] = tale.outcomes.as_slice() else {
        return Some(format!("ended {} times", tale.outcomes.len()));
    };
    let touched = account.reserved + account.charged > 0;
    let fits = match outcome {
        RunOutcome::Succeeded { .. } => account.shipped == 1 && (tale.untold || account.told == 1),
        RunOutcome::Compensated { .. } => account.shipped == 0,
        RunOutcome::Failed { residue, .. } if residue.is_empty() => !touched,
        RunOutcome::Failed { .. } => account.shipped == 1,
        _ => false,
    };
    (!fits).then(|| format!("the run {outcome}, but the services disagree"))
}
