//! Checks of expressions and conditions, with work lists, because their depth is not bounded yet.

use super::{Checker, Fault, Location};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Condition, Each, Expr, Term};
use std::rc::Rc;

/// The location of an expression and the data that it may use.
pub(super) struct Site {
    pub(super) location: Location,
    /// Whether the item is defined.
    pub(super) item: bool,
    /// The node that it belongs to; none for the output of the workflow, which may use every node.
    pub(super) node: Option<usize>,
}

impl Site {
    pub(super) const fn of(node: usize, location: Location, item: bool) -> Self {
        Self { location, item, node: Some(node) }
    }
}

/// A use of the output of `used` at a location in `by`, which is valid only if `used` comes before `by`.
pub(super) struct Use {
    pub(super) used: usize,
    pub(super) by: usize,
    pub(super) location: Location,
}

/// A term to be checked.
struct Open<'d> {
    term: Term<'d>,
    depth: u32,
    locals: Option<Rc<Locals>>,
}

/// The names of the items of the enclosing functions of lists.
struct Locals {
    name: Name,
    outer: Option<Rc<Self>>,
}

impl Locals {
    fn know(locals: Option<&Rc<Self>>, name: &Name) -> bool {
        let mut next = locals;
        while let Some(local) = next {
            if local.name == *name {
                return true;
            }
            next = local.outer.as_ref();
        }
        false
    }
}

impl Checker<'_, '_> {
    /// Checks a condition and every expression in it.
    pub(super) fn condition(&mut self, condition: &Condition, site: &Site) {
        self.term(Term::Condition(condition), site);
    }

    /// Checks an expression.
    pub(super) fn expression(&mut self, expr: &Expr, site: &Site) {
        self.term(Term::Expr(expr), site);
    }

    fn term(&mut self, term: Term<'_>, site: &Site) {
        let limit = self.limits.sizes.depth();
        let mut work = vec![Open { term, depth: 0, locals: None }];
        let (mut deep, mut item) = (false, false);
        while let Some(Open { term, depth, locals }) = work.pop() {
            if depth > limit {
                deep = true;
                continue;
            }
            let first = work.len();
            let next = depth.saturating_add(1);
            match term {
                Term::Condition(condition) => {
                    self.report.depth.conditions = self.report.depth.conditions.max(depth);
                    self.one_condition(condition, site);
                    let parts = term.parts().into_iter();
                    work.extend(parts.map(|term| Open { term, depth: next, locals: locals.clone() }));
                }
                Term::Expr(expr) => {
                    self.report.depth.expressions = self.report.depth.expressions.max(depth);
                    item |= *expr == Expr::Item;
                    self.one_expression(expr, locals.as_ref(), site);
                    let inner = if let Expr::Each(each) = expr {
                        Some(Rc::new(Locals { name: each.name.clone(), outer: locals.clone() }))
                    } else {
                        locals.clone()
                    };
                    // The list of an `Each` does not see its item.
                    let over = if let Expr::Each(each) = expr { Some(&each.over) } else { None };
                    work.extend(term.parts().into_iter().map(|term| {
                        let is_over =
                            matches!((term, over), (Term::Expr(part), Some(over)) if core::ptr::eq(part, over));
                        let locals = if is_over { locals.clone() } else { inner.clone() };
                        Open { term, depth: next, locals }
                    }));
                }
            }
            // Reversed, so that faults are reported in the order of the definition.
            if let Some(added) = work.get_mut(first..) {
                added.reverse();
            }
        }
        if item && !site.item {
            self.site_fault(site, Fault::NoItem { location: site.location.clone() });
        }
        self.report_depth(deep, site);
    }

    fn one_condition(&mut self, condition: &Condition, site: &Site) {
        if let Condition::Predicate(name, _) = condition {
            self.name(site.node, "a predicate", name);
        }
        if let Condition::Matches(_, pattern) = condition
            && pattern.len() > self.limits.sizes.name_bytes as usize
        {
            let (bytes, limit) = (pattern.len(), self.limits.sizes.name_bytes);
            self.site_fault(site, Fault::LongPattern { location: site.location.clone(), bytes, limit });
        }
    }

    fn one_expression(&mut self, expr: &Expr, locals: Option<&Rc<Locals>>, site: &Site) {
        let location = || site.location.clone();
        match expr {
            Expr::Const(value) => self.constant(value, site),
            Expr::Node(name) | Expr::End(name) => self.reference(name, site),
            Expr::At(_, pointer) if !is_pointer(pointer) => {
                let pointer = pointer.as_str().into();
                self.site_fault(site, Fault::BadPointer { location: location(), pointer });
            }
            Expr::Variable(name) => self.variable(name, site),
            Expr::Local(name) if !Locals::know(locals, name) => {
                self.site_fault(site, Fault::UnknownLocal { location: location(), name: name.clone() });
            }
            Expr::Each(each) if !Each::is_name(&each.name) || self.indexes.contains_key(each.name.as_str()) => {
                self.site_fault(site, Fault::BadLocal { location: location(), name: each.name.clone() });
            }
            Expr::Call(function, parts) => {
                let (least, most) = function.arity();
                if parts.len() < least || parts.len() > most {
                    let (function, found) = (function.name().into(), parts.len());
                    self.site_fault(site, Fault::Arguments { location: location(), function, found });
                }
            }
            Expr::Input
            | Expr::Meta(_)
            | Expr::Item
            | Expr::Local(_)
            | Expr::List(_)
            | Expr::Object(_)
            | Expr::At(..)
            | Expr::First(_)
            | Expr::Test(_)
            | Expr::If(_)
            | Expr::Each(_) => {}
        }
    }

    fn report_depth(&mut self, deep: bool, site: &Site) {
        if deep {
            let limit = self.limits.sizes.depth();
            self.site_fault(site, Fault::TooDeep { location: site.location.clone(), limit });
        }
    }

    pub(super) fn constant(&mut self, value: &Payload, site: &Site) {
        let (bytes, limit) = (value.bytes(), self.limits.sizes.payload_bytes);
        if bytes > limit {
            self.site_fault(site, Fault::ConstantTooLarge { location: site.location.clone(), bytes, limit });
        }
        let (depth, limit) = (value.depth(), self.limits.sizes.depth());
        self.report.depth.constants = self.report.depth.constants.max(depth);
        if depth > limit {
            self.site_fault(site, Fault::ConstantTooDeep { location: site.location.clone(), depth, limit });
        }
    }

    fn reference(&mut self, name: &Name, site: &Site) {
        match (self.indexes.get(name.as_str()), site.node) {
            (Some(&used), Some(by)) => self.uses.push(Use { used, by, location: site.location.clone() }),
            (Some(_), None) => {}
            (None, _) => {
                let suggestion = self.suggest_node(name);
                let fault = Fault::UnknownNode { location: site.location.clone(), node: name.clone(), suggestion };
                self.site_fault(site, fault);
            }
        }
    }

    pub(super) fn site_fault(&mut self, site: &Site, fault: Fault) {
        self.fault(site.node, fault);
    }
}

/// Whether a text is a JSON pointer (RFC 6901).
pub(super) fn is_pointer(text: &str) -> bool {
    let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    escaped && (text.is_empty() || text.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::is_pointer;

    #[test]
    fn pointers() {
        for good in ["", "/", "/a", "/a/0/b", "/~0/~1", "/a~1b"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["a", "a/b", "/~", "/~2", "~0", "/a~"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }
}
