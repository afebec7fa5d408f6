//! The functions under the names by which LLVM calls them.
//!
//! Those of the run-time ABI for the Arm architecture (`__aeabi_`) take their arguments in integer registers whatever the
//! target's own convention is; the others follow the target.

#![expect(
    unsafe_code,
    reason = "a name that is not mangled could clash; linkers take these for what they are"
)]

/// What a division returns: the quotient in r0 and r1, the remainder in r2 and r3.
#[inline(always)]
fn registers(quotient: u64, rest: u64) -> u128 {
    u128::from(quotient) | u128::from(rest) << 64
}

macro_rules! export {
    ($($convention:literal $name:ident($($argument:ident: $ty:ty),*) -> $result:ty = $value:expr;)*) => {
        $(
            // SAFETY: it is what linkers expect of this name, by the ABI or by C.
            #[unsafe(no_mangle)]
            extern $convention fn $name($($argument: $ty),*) -> $result {
                $value
            }
        )*
    };
}

/// The same of 32 bits: in r0 and r1.
#[cfg(feature = "software-division")]
#[inline(always)]
fn two_registers(quotient: u32, rest: u32) -> u64 {
    u64::from(quotient) | u64::from(rest) << 32
}

// What a processor that divides needs an instruction for.
#[cfg(feature = "software-division")]
export! {
    "aapcs" __aeabi_uidiv(x: u32, y: u32) -> u32 = crate::divide_by_shifts(x, y).0;
    "aapcs" __aeabi_idiv(x: i32, y: i32) -> i32 = crate::divide_signed_by_shifts(x, y).0;
    "aapcs" __aeabi_uidivmod(x: u32, y: u32) -> u64 = {
        let (quotient, rest) = crate::divide_by_shifts(x, y);
        two_registers(quotient, rest)
    };
    "aapcs" __aeabi_idivmod(x: i32, y: i32) -> u64 = {
        let (quotient, rest) = crate::divide_signed_by_shifts(x, y);
        two_registers(quotient as u32, rest as u32)
    };
}

export! {
    "aapcs" __aeabi_uldivmod(x: u64, y: u64) -> u128 = {
        let (quotient, rest) = crate::divide(x, y);
        registers(quotient, rest)
    };
    "aapcs" __aeabi_ldivmod(x: i64, y: i64) -> u128 = {
        let (quotient, rest) = crate::divide_signed(x, y);
        registers(quotient as u64, rest as u64)
    };
}

#[cfg(not(feature = "software-division"))]
export! {
    "aapcs" __aeabi_d2ulz(x: f64) -> u64 = crate::to_u64(x);
    "aapcs" __aeabi_d2lz(x: f64) -> i64 = crate::to_i64(x);
    "aapcs" __aeabi_f2ulz(x: f32) -> u64 = crate::to_u64(x.into());
    "aapcs" __aeabi_f2lz(x: f32) -> i64 = crate::to_i64(x.into());
    "aapcs" __aeabi_ul2d(x: u64) -> f64 = crate::u64_to_f64(x);
    "aapcs" __aeabi_l2d(x: i64) -> f64 = crate::i64_to_f64(x);
    "aapcs" __aeabi_ul2f(x: u64) -> f32 = crate::u64_to_f32(x);
    "aapcs" __aeabi_l2f(x: i64) -> f32 = crate::i64_to_f32(x);
    "aapcs" __aeabi_d2h(x: f64) -> u16 = crate::f64_to_f16(x);
    "C" __truncsfbf2(x: f32) -> u16 = crate::f32_to_bf16(x);
    "C" fmaxf(x: f32, y: f32) -> f32 = crate::maximum(x, y);
    "C" fminf(x: f32, y: f32) -> f32 = crate::minimum(x, y);
    "C" truncf(x: f32) -> f32 = crate::truncate(x);
}
