//! Medians and other ranks.

/// The value below which this share of the sorted values lies (nearest rank); `None` without values.
pub(crate) fn rank(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of few thousand values"
    )]
    let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(at.min(last)).copied()
}

/// The values in order.
pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    rank(&sorted(values.to_vec()), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(rank(&values, 0.5), Some(50.0));
        assert_eq!(rank(&values, 0.99), Some(99.0));
        assert_eq!(rank(&values, 1.0), Some(100.0));
        assert_eq!(rank(&[7.0], 0.0), Some(7.0));
        assert_eq!(rank(&[], 0.5), None);
    }

    #[test]
    fn the_order_of_values_does_not_matter_to_the_median() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    }
}
