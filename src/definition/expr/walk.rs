//! Traversal of expressions and conditions, which contain each other, with work lists: their depth may not be bounded yet.

use super::{Condition, Expr};

/// An expression or a condition.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Term<'e> {
    Expr(&'e Expr),
    Condition(&'e Condition),
}

impl<'e> Term<'e> {
    /// The terms directly within this one, in order.
    pub(crate) fn parts(self) -> Vec<Self> {
        match self {
            Self::Expr(expr) => {
                expr.condition().map(Self::Condition).into_iter().chain(expr.parts().map(Self::Expr)).collect()
            }
            Self::Condition(condition) => {
                let operands = condition.operands().into_iter().map(Self::Expr);
                operands.chain(condition.parts().iter().map(Self::Condition)).collect()
            }
        }
    }

    /// The number of terms directly within this one, at least.
    pub(crate) fn count(self) -> usize {
        match self {
            Self::Expr(Expr::List(parts) | Expr::First(parts) | Expr::Call(_, parts)) => parts.len(),
            Self::Expr(Expr::Object(fields)) => fields.len(),
            Self::Condition(condition) => condition.parts().len(),
            Self::Expr(_) => 1,
        }
    }

    /// This term and all within it, in the order of the text.
    pub(crate) fn all(self) -> impl Iterator<Item = Self> {
        let mut work = vec![self];
        core::iter::from_fn(move || {
            let term = work.pop()?;
            work.extend(term.parts().into_iter().rev());
            Some(term)
        })
    }
}

/// An expression or a condition, to be changed.
pub(crate) enum TermMut<'e> {
    Expr(&'e mut Expr),
    Condition(&'e mut Condition),
}

impl<'e> TermMut<'e> {
    /// Changes each expression in this term, itself included.
    pub(crate) fn change(self, change: &dyn Fn(&mut Expr)) {
        let mut work = vec![self];
        while let Some(term) = work.pop() {
            match term {
                Self::Expr(expr) => {
                    change(expr);
                    work.extend(parts(expr));
                }
                Self::Condition(condition) => work.extend(within(condition)),
            }
        }
    }
}

fn parts(expr: &mut Expr) -> Vec<TermMut<'_>> {
    match expr {
        Expr::Input
        | Expr::Node(_)
        | Expr::End(_)
        | Expr::Variable(_)
        | Expr::Meta(_)
        | Expr::Item
        | Expr::Local(_)
        | Expr::Const(_) => Vec::new(),
        Expr::List(parts) | Expr::First(parts) | Expr::Call(_, parts) => parts.iter_mut().map(TermMut::Expr).collect(),
        Expr::Object(fields) => fields.values_mut().map(TermMut::Expr).collect(),
        Expr::At(of, _) => vec![TermMut::Expr(of)],
        Expr::Test(condition) => vec![TermMut::Condition(condition)],
        Expr::If(choice) => {
            let (when, then, otherwise) = &mut **choice;
            vec![TermMut::Condition(when), TermMut::Expr(then), TermMut::Expr(otherwise)]
        }
        Expr::Each(each) => vec![TermMut::Expr(&mut each.over), TermMut::Expr(&mut each.body)],
    }
}

fn within(condition: &mut Condition) -> Vec<TermMut<'_>> {
    match condition {
        Condition::True => Vec::new(),
        Condition::Is(a) | Condition::Exists(a) | Condition::Matches(a, _) | Condition::Predicate(_, a) => {
            vec![TermMut::Expr(a)]
        }
        Condition::Equal(a, b) | Condition::Less(a, b) | Condition::AtMost(a, b) | Condition::In(a, b) => {
            vec![TermMut::Expr(a), TermMut::Expr(b)]
        }
        Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().map(TermMut::Condition).collect(),
        Condition::Not(part) => vec![TermMut::Condition(part)],
    }
}
