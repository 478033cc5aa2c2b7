//! Checks of expressions and conditions, with work lists, because their depth is not bounded yet.

use super::{Checker, Fault, Location};
use crate::base::payload::Payload;
use crate::definition::{Condition, Expr};

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

impl Checker<'_, '_> {
    /// Checks a condition and every expression in it.
    pub(super) fn condition(&mut self, condition: &Condition, site: &Site) {
        let mut work = vec![(condition, 0_u32)];
        let mut deep = false;
        while let Some((condition, depth)) = work.pop() {
            if depth > self.limits.sizes.depth() {
                deep = true;
                continue;
            }
            self.report.depth.conditions = self.report.depth.conditions.max(depth);
            if let Condition::Predicate(name, _) = condition {
                self.name(site.node, "a predicate", name);
            }
            if let Condition::Matches(_, pattern) = condition
                && pattern.len() > self.limits.sizes.name_bytes as usize
            {
                let (bytes, limit) = (pattern.len(), self.limits.sizes.name_bytes);
                self.site_fault(site, Fault::LongPattern { location: site.location.clone(), bytes, limit });
            }
            for operand in condition.operands() {
                self.expression(operand, site);
            }
            work.extend(condition.parts().iter().map(|part| (part, depth.saturating_add(1))));
        }
        self.report_depth(deep, site);
    }

    /// Checks an expression.
    pub(super) fn expression(&mut self, expr: &Expr, site: &Site) {
        let mut work = vec![(expr, 0_u32)];
        let (mut deep, mut item) = (false, false);
        while let Some((expr, depth)) = work.pop() {
            if depth > self.limits.sizes.depth() {
                deep = true;
                continue;
            }
            self.report.depth.expressions = self.report.depth.expressions.max(depth);
            match expr {
                Expr::Item => item = true,
                Expr::Const(value) => self.constant(value, site),
                Expr::Node(name) | Expr::End(name) => self.reference(name, site),
                Expr::At(_, pointer) if !is_pointer(pointer) => {
                    let pointer = pointer.as_str().into();
                    self.site_fault(site, Fault::BadPointer { location: site.location.clone(), pointer });
                }
                Expr::Variable(name) => self.variable(name, site),
                Expr::Input | Expr::List(_) | Expr::Object(_) | Expr::At(..) | Expr::First(_) => {}
            }
            let first = work.len();
            work.extend(expr.parts().map(|part| (part, depth.saturating_add(1))));
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

    fn reference(&mut self, name: &crate::Name, site: &Site) {
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
