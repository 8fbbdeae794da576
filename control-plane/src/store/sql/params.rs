//! A statement's parameters: a tuple, an array or a list.

use super::{Cell, ToCell};

/// What `?1`, `?2`, … stand for, in order.
pub(crate) trait Params {
    fn into_cells(self) -> Vec<Cell>;
}

impl Params for () {
    fn into_cells(self) -> Vec<Cell> {
        Vec::new()
    }
}

impl Params for Vec<Cell> {
    fn into_cells(self) -> Vec<Cell> {
        self
    }
}

impl<T: ToCell, const N: usize> Params for [T; N] {
    fn into_cells(self) -> Vec<Cell> {
        self.iter().map(T::to_cell).collect()
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)+) => {$(
        impl<$($name: ToCell),+> Params for ($($name,)+) {
            fn into_cells(self) -> Vec<Cell> {
                #[expect(non_snake_case, reason = "the types' names serve as the values'")]
                let ($($name,)+) = self;
                vec![$($name.to_cell()),+]
            }
        }
    )+};
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
    A B C D E F G H I J K L M;
    A B C D E F G H I J K L M N;
}
