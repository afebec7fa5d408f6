// Written by `cargo xtask libcalls` from crates/skipgate-libcalls.
// SHA-256 of the source: 15c11b6ba86386567929f5ffa72fea8e3cc42e8edbd80717b683f3404b6eaa1d
// Compiler: rustc 1.95.0 (59807616e 2026-04-14)

/// Names and instructions of functions that need nothing but themselves.
pub(super) const FUNCTIONS: &[(&str, &[u32])] = &[
    (
        "__aeabi_d2h",
        &[
            0xE3A0_2902, // mov r2, #32768 @ 0x8000
            0xE1A0_3001, // mov r3, r1
            0xE002_C821, // and ip, r2, r1, lsr #16
            0xE7DF_3A1F, // bfc r3, #20, #12
            0xE7EA_1A51, // ubfx r1, r1, #20, #11
            0xE300_27FF, // movw r2, #2047 @ 0x7ff
            0xE151_0002, // cmp r1, r2
            0x1A00_0005, // bne 38 <__aeabi_d2h+0x38>
            0xE190_0003, // orrs r0, r0, r3
            0xE3A0_0C7E, // mov r0, #32256 @ 0x7e00
            0x0307_0C00, // movweq r0, #31744 @ 0x7c00
            0xE18C_C000, // orr ip, ip, r0
            0xE6FF_007C, // uxth r0, ip
            0xE12F_FF1E, // bx lr
            0xE300_23E6, // movw r2, #998 @ 0x3e6
            0xE151_0002, // cmp r1, r2
            0x3A00_0003, // bcc 54 <__aeabi_d2h+0x54>
            0xE300_240E, // movw r2, #1038 @ 0x40e
            0xE151_0002, // cmp r1, r2
            0x9A00_0002, // bls 5c <__aeabi_d2h+0x5c>
            0xE38C_CB1F, // orr ip, ip, #31744 @ 0x7c00
            0xE6FF_007C, // uxth r0, ip
            0xE12F_FF1E, // bx lr
            0xE92D_48F0, // push {r4, r5, r6, r7, fp, lr}
            0xE300_23F1, // movw r2, #1009 @ 0x3f1
            0xE3A0_E000, // mov lr, #0
            0xE052_2001, // subs r2, r2, r1
            0xE383_3601, // orr r3, r3, #1048576 @ 0x100000
            0x31A0_200E, // movcc r2, lr
            0xE1A0_70A0, // lsr r7, r0, #1
            0xE262_4016, // rsb r4, r2, #22
            0xE1A0_5413, // lsl r5, r3, r4
            0xE224_601F, // eor r6, r4, #31
            0xE081_1002, // add r1, r1, r2
            0xE185_5637, // orr r5, r5, r7, lsr r6
            0xE282_602A, // add r6, r2, #42 @ 0x2a
            0xE3E0_7009, // mvn r7, #9
            0xE1A0_6630, // lsr r6, r0, r6
            0xE047_7002, // sub r7, r7, r2
            0xE186_6713, // orr r6, r6, r3, lsl r7
            0xE292_700A, // adds r7, r2, #10
            0xE1A0_0410, // lsl r0, r0, r4
            0x51A0_6733, // lsrpl r6, r3, r7
            0xE225_2102, // eor r2, r5, #-2147483648 @ 0x80000000
            0xE190_2002, // orrs r2, r0, r2
            0x0206_E001, // andeq lr, r6, #1
            0xE270_0000, // rsbs r0, r0, #0
            0xE086_1501, // add r1, r6, r1, lsl #10
            0xE2F5_0102, // rscs r0, r5, #-2147483648 @ 0x80000000
            0x3300_E001, // movwcc lr, #1
            0xE081_000E, // add r0, r1, lr
            0xE240_0BF1, // sub r0, r0, #246784 @ 0x3c400
            0xE240_0703, // sub r0, r0, #786432 @ 0xc0000
            0xE18C_C000, // orr ip, ip, r0
            0xE8BD_48F0, // pop {r4, r5, r6, r7, fp, lr}
            0xE6FF_007C, // uxth r0, ip
            0xE12F_FF1E, // bx lr
        ],
    ),
    (
        "__aeabi_d2lz",
        &[
            0xEC41_0B30, // vmov d16, r0, r1
            0xEEF5_0B40, // vcmp.f64 d16, #0.0
            0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
            0x5A00_000E, // bpl 4c <__aeabi_d2lz+0x4c>
            0xEDDF_1B1E, // vldr d17, [pc, #120] @ 90 <__aeabi_d2lz+0x90>
            0xEDDF_2B1B, // vldr d18, [pc, #108] @ 88 <__aeabi_d2lz+0x88>
            0xEE60_1BA1, // vmul.f64 d17, d16, d17
            0xEEBC_0BE1, // vcvt.u32.f64 s0, d17
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEE10_1A10, // vmov r1, s0
            0xE371_0001, // cmn r1, #1
            0xEE51_0BA2, // vnmls.f64 d16, d17, d18
            0xEEBC_0BE0, // vcvt.u32.f64 s0, d16
            0xEE10_0A10, // vmov r0, s0
            0xE1C0_0FC1, // bic r0, r0, r1, asr #31
            0xD3A0_1102, // movle r1, #-2147483648 @ 0x80000000
            0xE270_0000, // rsbs r0, r0, #0
            0xE2E1_1000, // rsc r1, r1, #0
            0xE12F_FF1E, // bx lr
            0xEDDF_1B0B, // vldr d17, [pc, #44] @ 80 <__aeabi_d2lz+0x80>
            0xEDDF_2B0C, // vldr d18, [pc, #48] @ 88 <__aeabi_d2lz+0x88>
            0xEE60_1BA1, // vmul.f64 d17, d16, d17
            0xEEBC_0BE1, // vcvt.u32.f64 s0, d17
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEE10_1A10, // vmov r1, s0
            0xE351_0000, // cmp r1, #0
            0xEE41_0BA2, // vmla.f64 d16, d17, d18
            0x43E0_1102, // mvnmi r1, #-2147483648 @ 0x80000000
            0xEEBC_0BE0, // vcvt.u32.f64 s0, d16
            0xEE10_0A10, // vmov r0, s0
            0x43E0_0000, // mvnmi r0, #0
            0xE12F_FF1E, // bx lr
            0x0000_0000, // .word 0x00000000
            0x3DF0_0000, // .word 0x3df00000
            0x0000_0000, // .word 0x00000000
            0xC1F0_0000, // .word 0xc1f00000
            0x0000_0000, // .word 0x00000000
            0xBDF0_0000, // .word 0xbdf00000
        ],
    ),
    (
        "__aeabi_d2ulz",
        &[
            0xEDDF_0B0A, // vldr d16, [pc, #40] @ 30 <__aeabi_d2ulz+0x30>
            0xEC41_0B31, // vmov d17, r0, r1
            0xEE61_0BA0, // vmul.f64 d16, d17, d16
            0xEDDF_2B09, // vldr d18, [pc, #36] @ 38 <__aeabi_d2ulz+0x38>
            0xEEBC_0BE0, // vcvt.u32.f64 s0, d16
            0xEEF8_0B40, // vcvt.f64.u32 d16, s0
            0xEE10_1A10, // vmov r1, s0
            0xEE40_1BA2, // vmla.f64 d17, d16, d18
            0xEEBC_0BE1, // vcvt.u32.f64 s0, d17
            0xEE10_0A10, // vmov r0, s0
            0xE12F_FF1E, // bx lr
            0xE320_F000, // nop {0}
            0x0000_0000, // .word 0x00000000
            0x3DF0_0000, // .word 0x3df00000
            0x0000_0000, // .word 0x00000000
            0xC1F0_0000, // .word 0xc1f00000
        ],
    ),
    (
        "__aeabi_f2lz",
        &[
            0xEE00_0A10, // vmov s0, r0
            0xEEB5_0A40, // vcmp.f32 s0, #0.0
            0xEEF7_0AC0, // vcvt.f64.f32 d16, s0
            0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
            0x5A00_000E, // bpl 50 <__aeabi_f2lz+0x50>
            0xEDDF_1B1F, // vldr d17, [pc, #124] @ 98 <__aeabi_f2lz+0x98>
            0xEDDF_2B1C, // vldr d18, [pc, #112] @ 90 <__aeabi_f2lz+0x90>
            0xEE60_1BA1, // vmul.f64 d17, d16, d17
            0xEEBC_0BE1, // vcvt.u32.f64 s0, d17
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEE10_1A10, // vmov r1, s0
            0xE371_0001, // cmn r1, #1
            0xEE51_0BA2, // vnmls.f64 d16, d17, d18
            0xEEBC_0BE0, // vcvt.u32.f64 s0, d16
            0xEE10_0A10, // vmov r0, s0
            0xE1C0_0FC1, // bic r0, r0, r1, asr #31
            0xD3A0_1102, // movle r1, #-2147483648 @ 0x80000000
            0xE270_0000, // rsbs r0, r0, #0
            0xE2E1_1000, // rsc r1, r1, #0
            0xE12F_FF1E, // bx lr
            0xEDDF_1B0C, // vldr d17, [pc, #48] @ 88 <__aeabi_f2lz+0x88>
            0xEDDF_2B0D, // vldr d18, [pc, #52] @ 90 <__aeabi_f2lz+0x90>
            0xEE60_1BA1, // vmul.f64 d17, d16, d17
            0xEEBC_0BE1, // vcvt.u32.f64 s0, d17
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEE10_1A10, // vmov r1, s0
            0xE351_0000, // cmp r1, #0
            0xEE41_0BA2, // vmla.f64 d16, d17, d18
            0x43E0_1102, // mvnmi r1, #-2147483648 @ 0x80000000
            0xEEBC_0BE0, // vcvt.u32.f64 s0, d16
            0xEE10_0A10, // vmov r0, s0
            0x43E0_0000, // mvnmi r0, #0
            0xE12F_FF1E, // bx lr
            0xE320_F000, // nop {0}
            0x0000_0000, // .word 0x00000000
            0x3DF0_0000, // .word 0x3df00000
            0x0000_0000, // .word 0x00000000
            0xC1F0_0000, // .word 0xc1f00000
            0x0000_0000, // .word 0x00000000
            0xBDF0_0000, // .word 0xbdf00000
        ],
    ),
    (
        "__aeabi_f2ulz",
        &[
            0xEE00_0A10, // vmov s0, r0
            0xEEF7_0AC0, // vcvt.f64.f32 d16, s0
            0xEDDF_1B08, // vldr d17, [pc, #32] @ 30 <__aeabi_f2ulz+0x30>
            0xEDDF_2B09, // vldr d18, [pc, #36] @ 38 <__aeabi_f2ulz+0x38>
            0xEE60_1BA1, // vmul.f64 d17, d16, d17
            0xEEBC_0BE1, // vcvt.u32.f64 s0, d17
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEE10_1A10, // vmov r1, s0
            0xEE41_0BA2, // vmla.f64 d16, d17, d18
            0xEEBC_0BE0, // vcvt.u32.f64 s0, d16
            0xEE10_0A10, // vmov r0, s0
            0xE12F_FF1E, // bx lr
            0x0000_0000, // .word 0x00000000
            0x3DF0_0000, // .word 0x3df00000
            0x0000_0000, // .word 0x00000000
            0xC1F0_0000, // .word 0xc1f00000
        ],
    ),
    (
        "__aeabi_l2d",
        &[
            0xEE00_1A10, // vmov s0, r1
            0xEEF8_0BC0, // vcvt.f64.s32 d16, s0
            0xEE00_0A10, // vmov s0, r0
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEDDF_2B02, // vldr d18, [pc, #8] @ 20 <__aeabi_l2d+0x20>
            0xEE40_1BA2, // vmla.f64 d17, d16, d18
            0xEC51_0B31, // vmov r0, r1, d17
            0xE12F_FF1E, // bx lr
            0x0000_0000, // .word 0x00000000
            0x41F0_0000, // .word 0x41f00000
        ],
    ),
    (
        "__aeabi_l2f",
        &[
            0xE020_0FC1, // eor r0, r0, r1, asr #31
            0xE021_3FC1, // eor r3, r1, r1, asr #31
            0xE050_2FC1, // subs r2, r0, r1, asr #31
            0xE0C3_CFC1, // sbc ip, r3, r1, asr #31
            0xE35C_0602, // cmp ip, #2097152 @ 0x200000
            0x3A00_0005, // bcc 30 <__aeabi_l2f+0x30>
            0xE1A0_3002, // mov r3, r2
            0xE300_07FF, // movw r0, #2047 @ 0x7ff
            0xE7DF_359F, // bfc r3, #11, #21
            0xE083_0000, // add r0, r3, r0
            0xE180_2002, // orr r2, r0, r2
            0xE7CA_201F, // bfc r2, #0, #11
            0xEE00_2A10, // vmov s0, r2
            0xE351_0000, // cmp r1, #0
            0xEEF8_0B40, // vcvt.f64.u32 d16, s0
            0xEE00_CA10, // vmov s0, ip
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEDDF_2B05, // vldr d18, [pc, #20] @ 60 <__aeabi_l2f+0x60>
            0xEE41_0BA2, // vmla.f64 d16, d17, d18
            0xEEB7_0BE0, // vcvt.f32.f64 s0, d16
            0xEEB1_1A40, // vneg.f32 s2, s0
            0x4EB0_0A41, // vmovmi.f32 s0, s2
            0xEE10_0A10, // vmov r0, s0
            0xE12F_FF1E, // bx lr
            0x0000_0000, // .word 0x00000000
            0x41F0_0000, // .word 0x41f00000
        ],
    ),
    (
        "__aeabi_ldivmod",
        &[
            0xE92D_4FF0, // push {r4, r5, r6, r7, r8, r9, sl, fp, lr}
            0xE24D_D008, // sub sp, sp, #8
            0xE020_0FC1, // eor r0, r0, r1, asr #31
            0xE021_7FC1, // eor r7, r1, r1, asr #31
            0xE88D_000A, // stm sp, {r1, r3}
            0xE050_EFC1, // subs lr, r0, r1, asr #31
            0xE022_0FC3, // eor r0, r2, r3, asr #31
            0xE0C7_BFC1, // sbc fp, r7, r1, asr #31
            0xE050_5FC3, // subs r5, r0, r3, asr #31
            0xE023_0FC3, // eor r0, r3, r3, asr #31
            0xE0C0_AFC3, // sbc sl, r0, r3, asr #31
            0xE19A_000B, // orrs r0, sl, fp
            0x1A00_0006, // bne 50 <__aeabi_ldivmod+0x50>
            0xE192_0003, // orrs r0, r2, r3
            0xE3A0_9000, // mov r9, #0
            0x1739_F51E, // udivne r9, lr, r5
            0xE3A0_8000, // mov r8, #0
            0xE06E_E599, // mls lr, r9, r5, lr
            0xE3A0_B000, // mov fp, #0
            0xEA00_0029, // b f8 <__aeabi_ldivmod+0xf8>
            0xE192_0003, // orrs r0, r2, r3
            0x0A00_0025, // beq f0 <__aeabi_ldivmod+0xf0>
            0xE16F_0F1E, // clz r0, lr
            0xE35B_0000, // cmp fp, #0
            0xE280_0020, // add r0, r0, #32
            0xE16F_2F15, // clz r2, r5
            0x116F_0F1B, // clzne r0, fp
            0xE35A_0000, // cmp sl, #0
            0xE282_2020, // add r2, r2, #32
            0x116F_2F1A, // clzne r2, sl
            0xE052_2000, // subs r2, r2, r0
            0x4A00_001B, // bmi f0 <__aeabi_ldivmod+0xf0>
            0xE3A0_8000, // mov r8, #0
            0xE3A0_1001, // mov r1, #1
            0xE3A0_9000, // mov r9, #0
            0xEA00_0003, // b a0 <__aeabi_ldivmod+0xa0>
            0xE242_0001, // sub r0, r2, #1
            0xE352_0000, // cmp r2, #0
            0xE1A0_2000, // mov r2, r0
            0xDA00_0015, // ble f8 <__aeabi_ldivmod+0xf8>
            0xE262_7020, // rsb r7, r2, #32
            0xE252_4020, // subs r4, r2, #32
            0xE1A0_0735, // lsr r0, r5, r7
            0xE180_621A, // orr r6, r0, sl, lsl r2
            0xE1A0_0215, // lsl r0, r5, r2
            0x51A0_6415, // lslpl r6, r5, r4
            0x5300_0000, // movwpl r0, #0
            0xE05E_C000, // subs ip, lr, r0
            0xE0DB_3006, // sbcs r3, fp, r6
            0x3AFF_FFF1, // bcc 90 <__aeabi_ldivmod+0x90>
            0xE05E_E000, // subs lr, lr, r0
            0xE1A0_0211, // lsl r0, r1, r2
            0xE0CB_B006, // sbc fp, fp, r6
            0xE354_0000, // cmp r4, #0
            0x5300_0000, // movwpl r0, #0
            0xE189_9000, // orr r9, r9, r0
            0xE1A0_0731, // lsr r0, r1, r7
            0x51A0_0411, // lslpl r0, r1, r4
            0xE188_8000, // orr r8, r8, r0
            0xEAFF_FFE7, // b 90 <__aeabi_ldivmod+0x90>
            0xE3A0_9000, // mov r9, #0
            0xE3A0_8000, // mov r8, #0
            0xE59D_3000, // ldr r3, [sp]
            0xE27E_2000, // rsbs r2, lr, #0
            0xE59D_1004, // ldr r1, [sp, #4]
            0xE2EB_C000, // rsc ip, fp, #0
            0xE353_0000, // cmp r3, #0
            0x51A0_200E, // movpl r2, lr
            0x51A0_C00B, // movpl ip, fp
            0xE279_0000, // rsbs r0, r9, #0
            0xE2E8_E000, // rsc lr, r8, #0
            0xE031_1003, // eors r1, r1, r3
            0x51A0_E008, // movpl lr, r8
            0x51A0_0009, // movpl r0, r9
            0xE1A0_100E, // mov r1, lr
            0xE1A0_300C, // mov r3, ip
            0xE28D_D008, // add sp, sp, #8
            0xE8BD_8FF0, // pop {r4, r5, r6, r7, r8, r9, sl, fp, pc}
        ],
    ),
    (
        "__aeabi_ul2d",
        &[
            0xEE00_1A10, // vmov s0, r1
            0xEEF8_0B40, // vcvt.f64.u32 d16, s0
            0xEE00_0A10, // vmov s0, r0
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEDDF_2B02, // vldr d18, [pc, #8] @ 20 <__aeabi_ul2d+0x20>
            0xEE40_1BA2, // vmla.f64 d17, d16, d18
            0xEC51_0B31, // vmov r0, r1, d17
            0xE12F_FF1E, // bx lr
            0x0000_0000, // .word 0x00000000
            0x41F0_0000, // .word 0x41f00000
        ],
    ),
    (
        "__aeabi_ul2f",
        &[
            0xE351_0602, // cmp r1, #2097152 @ 0x200000
            0x3A00_0005, // bcc 20 <__aeabi_ul2f+0x20>
            0xE1A0_2000, // mov r2, r0
            0xE300_37FF, // movw r3, #2047 @ 0x7ff
            0xE7DF_259F, // bfc r2, #11, #21
            0xE082_2003, // add r2, r2, r3
            0xE182_0000, // orr r0, r2, r0
            0xE7CA_001F, // bfc r0, #0, #11
            0xEE00_0A10, // vmov s0, r0
            0xEEF8_0B40, // vcvt.f64.u32 d16, s0
            0xEE00_1A10, // vmov s0, r1
            0xEEF8_1B40, // vcvt.f64.u32 d17, s0
            0xEDDF_2B04, // vldr d18, [pc, #16] @ 48 <__aeabi_ul2f+0x48>
            0xEE41_0BA2, // vmla.f64 d16, d17, d18
            0xEEB7_0BE0, // vcvt.f32.f64 s0, d16
            0xEE10_0A10, // vmov r0, s0
            0xE12F_FF1E, // bx lr
            0xE320_F000, // nop {0}
            0x0000_0000, // .word 0x00000000
            0x41F0_0000, // .word 0x41f00000
        ],
    ),
    (
        "__aeabi_uldivmod",
        &[
            0xE92D_47F0, // push {r4, r5, r6, r7, r8, r9, sl, lr}
            0xE1A0_C000, // mov ip, r0
            0xE193_0001, // orrs r0, r3, r1
            0x1A00_0005, // bne 28 <__aeabi_uldivmod+0x28>
            0xE192_0003, // orrs r0, r2, r3
            0xE3A0_0000, // mov r0, #0
            0x1730_F21C, // udivne r0, ip, r2
            0xE3A0_E000, // mov lr, #0
            0xE06C_C290, // mls ip, r0, r2, ip
            0xEA00_0029, // b d0 <__aeabi_uldivmod+0xd0>
            0xE1A0_E001, // mov lr, r1
            0xE192_0003, // orrs r0, r2, r3
            0x0A00_0025, // beq cc <__aeabi_uldivmod+0xcc>
            0xE16F_0F1C, // clz r0, ip
            0xE35E_0000, // cmp lr, #0
            0xE280_0020, // add r0, r0, #32
            0xE16F_1F12, // clz r1, r2
            0x116F_0F1E, // clzne r0, lr
            0xE353_0000, // cmp r3, #0
            0xE281_1020, // add r1, r1, #32
            0x116F_1F13, // clzne r1, r3
            0xE051_5000, // subs r5, r1, r0
            0x4A00_001B, // bmi cc <__aeabi_uldivmod+0xcc>
            0xE3A0_0000, // mov r0, #0
            0xE3A0_8001, // mov r8, #1
            0xE3A0_1000, // mov r1, #0
            0xEA00_0003, // b 7c <__aeabi_uldivmod+0x7c>
            0xE245_4001, // sub r4, r5, #1
            0xE355_0000, // cmp r5, #0
            0xE1A0_5004, // mov r5, r4
            0xDA00_0015, // ble d4 <__aeabi_uldivmod+0xd4>
            0xE265_9020, // rsb r9, r5, #32
            0xE255_A020, // subs sl, r5, #32
            0xE1A0_4932, // lsr r4, r2, r9
            0xE1A0_6512, // lsl r6, r2, r5
            0xE184_4513, // orr r4, r4, r3, lsl r5
            0x51A0_4A12, // lslpl r4, r2, sl
            0x5300_6000, // movwpl r6, #0
            0xE05C_7006, // subs r7, ip, r6
            0xE0DE_7004, // sbcs r7, lr, r4
            0x3AFF_FFF1, // bcc 6c <__aeabi_uldivmod+0x6c>
            0xE05C_C006, // subs ip, ip, r6
            0xE0CE_E004, // sbc lr, lr, r4
            0xE35A_0000, // cmp sl, #0
            0xE1A0_4518, // lsl r4, r8, r5
            0x5300_4000, // movwpl r4, #0
            0xE180_0004, // orr r0, r0, r4
            0xE1A0_4938, // lsr r4, r8, r9
            0x51A0_4A18, // lslpl r4, r8, sl
            0xE181_1004, // orr r1, r1, r4
            0xEAFF_FFE7, // b 6c <__aeabi_uldivmod+0x6c>
            0xE3A0_0000, // mov r0, #0
            0xE3A0_1000, // mov r1, #0
            0xE1A0_200C, // mov r2, ip
            0xE1A0_300E, // mov r3, lr
            0xE8BD_87F0, // pop {r4, r5, r6, r7, r8, r9, sl, pc}
        ],
    ),
    (
        "__truncsfbf2",
        &[
            0xEEB4_0A40, // vcmp.f32 s0, s0
            0xE307_2FFF, // movw r2, #32767 @ 0x7fff
            0xEE10_0A10, // vmov r0, s0
            0xE7E0_1850, // ubfx r1, r0, #16, #1
            0xE080_1001, // add r1, r0, r1
            0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
            0xE081_1002, // add r1, r1, r2
            0x6380_1501, // orrvs r1, r0, #4194304 @ 0x400000
            0xE1A0_0821, // lsr r0, r1, #16
            0xE12F_FF1E, // bx lr
        ],
    ),
    (
        "fmaxf",
        &[
            0xEEB4_0A60, // vcmp.f32 s0, s1
            0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
            0xEEB4_0A40, // vcmp.f32 s0, s0
            0x4EB0_0A60, // vmovmi.f32 s0, s1
            0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
            0x6EB0_0A60, // vmovvs.f32 s0, s1
            0xE12F_FF1E, // bx lr
        ],
    ),
    (
        "fminf",
        &[
            0xEEB4_0A60, // vcmp.f32 s0, s1
            0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
            0xEEB4_0A40, // vcmp.f32 s0, s0
            0xCEB0_0A60, // vmovgt.f32 s0, s1
            0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
            0x6EB0_0A60, // vmovvs.f32 s0, s1
            0xE12F_FF1E, // bx lr
        ],
    ),
    (
        "truncf",
        &[
            0xEEB0_1AC0, // vabs.f32 s2, s0
            0xEEBC_2AC1, // vcvt.u32.f32 s4, s2
            0xED9F_3A09, // vldr s6, [pc, #36] @ 34 <truncf+0x34>
            0xEEB4_1A43, // vcmp.f32 s2, s6
            0xEE10_1A10, // vmov r1, s0
            0xEEB8_2A42, // vcvt.f32.u32 s4, s4
            0xE201_1102, // and r1, r1, #-2147483648 @ 0x80000000
            0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
            0xEE12_0A10, // vmov r0, s4
            0xE180_0001, // orr r0, r0, r1
            0xEE02_0A10, // vmov s4, r0
            0x4EB0_0A42, // vmovmi.f32 s0, s4
            0xE12F_FF1E, // bx lr
            0x4B00_0000, // .word 0x4b000000
        ],
    ),
];

/// Those that take the place of others, or are missing, where the processor does not divide.
pub(super) const SOFTWARE_DIVISION: &[(&str, &[u32])] = &[
    (
        "__aeabi_idiv",
        &[
            0xE92D_4830, // push {r4, r5, fp, lr}
            0xE351_0000, // cmp r1, #0
            0xE1A0_C001, // mov ip, r1
            0x426C_C000, // rsbmi ip, ip, #0
            0xE3A0_E000, // mov lr, #0
            0x0A00_000E, // beq 54 <__aeabi_idiv+0x54>
            0xE350_0000, // cmp r0, #0
            0xE1A0_3000, // mov r3, r0
            0x4263_3000, // rsbmi r3, r3, #0
            0xE16F_4F1C, // clz r4, ip
            0xE16F_2F13, // clz r2, r3
            0xE054_2002, // subs r2, r4, r2
            0x4A00_0007, // bmi 54 <__aeabi_idiv+0x54>
            0xE3A0_4001, // mov r4, #1
            0xE1A0_521C, // lsl r5, ip, r2
            0xE153_0005, // cmp r3, r5
            0x218E_E214, // orrcs lr, lr, r4, lsl r2
            0x2043_3005, // subcs r3, r3, r5
            0xE242_2001, // sub r2, r2, #1
            0xE372_0001, // cmn r2, #1
            0x1AFF_FFF8, // bne 38 <__aeabi_idiv+0x38>
            0xE031_0000, // eors r0, r1, r0
            0x426E_E000, // rsbmi lr, lr, #0
            0xE1A0_000E, // mov r0, lr
            0xE8BD_8830, // pop {r4, r5, fp, pc}
        ],
    ),
    (
        "__aeabi_idivmod",
        &[
            0xE92D_4830, // push {r4, r5, fp, lr}
            0xE1A0_C001, // mov ip, r1
            0xE350_0000, // cmp r0, #0
            0xE1A0_1000, // mov r1, r0
            0xE1A0_E00C, // mov lr, ip
            0x4261_1000, // rsbmi r1, r1, #0
            0xE35C_0000, // cmp ip, #0
            0x426E_E000, // rsbmi lr, lr, #0
            0xE3A0_3000, // mov r3, #0
            0x0A00_000B, // beq 58 <__aeabi_idivmod+0x58>
            0xE16F_2F11, // clz r2, r1
            0xE16F_4F1E, // clz r4, lr
            0xE054_2002, // subs r2, r4, r2
            0x4A00_0007, // bmi 58 <__aeabi_idivmod+0x58>
            0xE3A0_4001, // mov r4, #1
            0xE1A0_521E, // lsl r5, lr, r2
            0xE151_0005, // cmp r1, r5
            0x2183_3214, // orrcs r3, r3, r4, lsl r2
            0x2041_1005, // subcs r1, r1, r5
            0xE242_2001, // sub r2, r2, #1
            0xE372_0001, // cmn r2, #1
            0x1AFF_FFF8, // bne 3c <__aeabi_idivmod+0x3c>
            0xE350_0000, // cmp r0, #0
            0x4261_1000, // rsbmi r1, r1, #0
            0xE03C_0000, // eors r0, ip, r0
            0x4263_3000, // rsbmi r3, r3, #0
            0xE1A0_0003, // mov r0, r3
            0xE8BD_8830, // pop {r4, r5, fp, pc}
        ],
    ),
    (
        "__aeabi_ldivmod",
        &[
            0xE92D_4FF0, // push {r4, r5, r6, r7, r8, r9, sl, fp, lr}
            0xE24D_D008, // sub sp, sp, #8
            0xE020_0FC1, // eor r0, r0, r1, asr #31
            0xE021_7FC1, // eor r7, r1, r1, asr #31
            0xE88D_000A, // stm sp, {r1, r3}
            0xE050_0FC1, // subs r0, r0, r1, asr #31
            0xE022_6FC3, // eor r6, r2, r3, asr #31
            0xE0C7_9FC1, // sbc r9, r7, r1, asr #31
            0xE056_BFC3, // subs fp, r6, r3, asr #31
            0xE023_7FC3, // eor r7, r3, r3, asr #31
            0xE0C7_EFC3, // sbc lr, r7, r3, asr #31
            0xE19E_7009, // orrs r7, lr, r9
            0x1A00_0010, // bne 78 <__aeabi_ldivmod+0x78>
            0xE3A0_8000, // mov r8, #0
            0xE192_2003, // orrs r2, r2, r3
            0x0A00_0038, // beq 124 <__aeabi_ldivmod+0x124>
            0xE16F_2F10, // clz r2, r0
            0xE16F_7F1B, // clz r7, fp
            0xE3A0_5000, // mov r5, #0
            0xE057_2002, // subs r2, r7, r2
            0x4A00_0034, // bmi 128 <__aeabi_ldivmod+0x128>
            0xE3A0_7001, // mov r7, #1
            0xE1A0_621B, // lsl r6, fp, r2
            0xE150_0006, // cmp r0, r6
            0x2185_5217, // orrcs r5, r5, r7, lsl r2
            0x2040_0006, // subcs r0, r0, r6
            0xE242_2001, // sub r2, r2, #1
            0xE372_0001, // cmn r2, #1
            0x1AFF_FFF8, // bne 58 <__aeabi_ldivmod+0x58>
            0xEA00_002B, // b 128 <__aeabi_ldivmod+0x128>
            0xE192_2003, // orrs r2, r2, r3
            0x0A00_0025, // beq 118 <__aeabi_ldivmod+0x118>
            0xE16F_2F10, // clz r2, r0
            0xE359_0000, // cmp r9, #0
            0xE282_2020, // add r2, r2, #32
            0xE16F_7F1B, // clz r7, fp
            0x116F_2F19, // clzne r2, r9
            0xE35E_0000, // cmp lr, #0
            0xE287_7020, // add r7, r7, #32
            0x116F_7F1E, // clzne r7, lr
            0xE057_2002, // subs r2, r7, r2
            0x4A00_001B, // bmi 118 <__aeabi_ldivmod+0x118>
            0xE3A0_5000, // mov r5, #0
            0xE3A0_1001, // mov r1, #1
            0xE3A0_8000, // mov r8, #0
            0xEA00_0003, // b c8 <__aeabi_ldivmod+0xc8>
            0xE242_3001, // sub r3, r2, #1
            0xE352_0000, // cmp r2, #0
            0xE1A0_2003, // mov r2, r3
            0xDA00_0018, // ble 12c <__aeabi_ldivmod+0x12c>
            0xE262_A020, // rsb sl, r2, #32
            0xE252_6020, // subs r6, r2, #32
            0xE1A0_4A3B, // lsr r4, fp, sl
            0xE184_721E, // orr r7, r4, lr, lsl r2
            0xE1A0_421B, // lsl r4, fp, r2
            0x51A0_761B, // lslpl r7, fp, r6
            0x5300_4000, // movwpl r4, #0
            0xE050_C004, // subs ip, r0, r4
            0xE0D9_3007, // sbcs r3, r9, r7
            0x3AFF_FFF1, // bcc b8 <__aeabi_ldivmod+0xb8>
            0xE050_0004, // subs r0, r0, r4
            0xE1A0_3211, // lsl r3, r1, r2
            0xE0C9_9007, // sbc r9, r9, r7
            0xE356_0000, // cmp r6, #0
            0x5300_3000, // movwpl r3, #0
            0xE185_5003, // orr r5, r5, r3
            0xE1A0_3A31, // lsr r3, r1, sl
            0x51A0_3611, // lslpl r3, r1, r6
            0xE188_8003, // orr r8, r8, r3
            0xEAFF_FFE7, // b b8 <__aeabi_ldivmod+0xb8>
            0xE3A0_5000, // mov r5, #0
            0xE3A0_8000, // mov r8, #0
            0xEA00_0001, // b 12c <__aeabi_ldivmod+0x12c>
            0xE3A0_5000, // mov r5, #0
            0xE3A0_9000, // mov r9, #0
            0xE59D_3000, // ldr r3, [sp]
            0xE270_2000, // rsbs r2, r0, #0
            0xE59D_1004, // ldr r1, [sp, #4]
            0xE2E9_C000, // rsc ip, r9, #0
            0xE353_0000, // cmp r3, #0
            0x51A0_2000, // movpl r2, r0
            0x51A0_C009, // movpl ip, r9
            0xE275_0000, // rsbs r0, r5, #0
            0xE2E8_E000, // rsc lr, r8, #0
            0xE031_1003, // eors r1, r1, r3
            0x51A0_E008, // movpl lr, r8
            0x51A0_0005, // movpl r0, r5
            0xE1A0_100E, // mov r1, lr
            0xE1A0_300C, // mov r3, ip
            0xE28D_D008, // add sp, sp, #8
            0xE8BD_8FF0, // pop {r4, r5, r6, r7, r8, r9, sl, fp, pc}
        ],
    ),
    (
        "__aeabi_uidiv",
        &[
            0xE1A0_2000, // mov r2, r0
            0xE3A0_0000, // mov r0, #0
            0xE351_0000, // cmp r1, #0
            0x0A00_000E, // beq 4c <__aeabi_uidiv+0x4c>
            0xE16F_CF12, // clz ip, r2
            0xE16F_3F11, // clz r3, r1
            0xE053_300C, // subs r3, r3, ip
            0x412F_FF1E, // bxmi lr
            0xE92D_4800, // push {fp, lr}
            0xE3A0_0000, // mov r0, #0
            0xE3A0_C001, // mov ip, #1
            0xE1A0_E311, // lsl lr, r1, r3
            0xE152_000E, // cmp r2, lr
            0x2180_031C, // orrcs r0, r0, ip, lsl r3
            0x2042_200E, // subcs r2, r2, lr
            0xE243_3001, // sub r3, r3, #1
            0xE373_0001, // cmn r3, #1
            0x1AFF_FFF8, // bne 2c <__aeabi_uidiv+0x2c>
            0xE8BD_4800, // pop {fp, lr}
            0xE12F_FF1E, // bx lr
        ],
    ),
    (
        "__aeabi_uidivmod",
        &[
            0xE1A0_2000, // mov r2, r0
            0xE3A0_0000, // mov r0, #0
            0xE351_0000, // cmp r1, #0
            0x0A00_000E, // beq 4c <__aeabi_uidivmod+0x4c>
            0xE16F_CF12, // clz ip, r2
            0xE16F_3F11, // clz r3, r1
            0xE053_300C, // subs r3, r3, ip
            0x4A00_000A, // bmi 4c <__aeabi_uidivmod+0x4c>
            0xE92D_4800, // push {fp, lr}
            0xE3A0_0000, // mov r0, #0
            0xE3A0_C001, // mov ip, #1
            0xE1A0_E311, // lsl lr, r1, r3
            0xE152_000E, // cmp r2, lr
            0x2180_031C, // orrcs r0, r0, ip, lsl r3
            0x2042_200E, // subcs r2, r2, lr
            0xE243_3001, // sub r3, r3, #1
            0xE373_0001, // cmn r3, #1
            0x1AFF_FFF8, // bne 2c <__aeabi_uidivmod+0x2c>
            0xE8BD_4800, // pop {fp, lr}
            0xE1A0_1002, // mov r1, r2
            0xE12F_FF1E, // bx lr
        ],
    ),
    (
        "__aeabi_uldivmod",
        &[
            0xE92D_47F0, // push {r4, r5, r6, r7, r8, r9, sl, lr}
            0xE1A0_E000, // mov lr, r0
            0xE193_0001, // orrs r0, r3, r1
            0x1A00_0010, // bne 54 <__aeabi_uldivmod+0x54>
            0xE3A0_C000, // mov ip, #0
            0xE192_0003, // orrs r0, r2, r3
            0x0A00_0036, // beq f8 <__aeabi_uldivmod+0xf8>
            0xE16F_0F1E, // clz r0, lr
            0xE16F_1F12, // clz r1, r2
            0xE051_1000, // subs r1, r1, r0
            0x4A00_0032, // bmi f8 <__aeabi_uldivmod+0xf8>
            0xE3A0_0000, // mov r0, #0
            0xE3A0_3001, // mov r3, #1
            0xE1A0_4112, // lsl r4, r2, r1
            0xE15E_0004, // cmp lr, r4
            0x2180_0113, // orrcs r0, r0, r3, lsl r1
            0x204E_E004, // subcs lr, lr, r4
            0xE241_1001, // sub r1, r1, #1
            0xE371_0001, // cmn r1, #1
            0x1AFF_FFF8, // bne 34 <__aeabi_uldivmod+0x34>
            0xEA00_0029, // b fc <__aeabi_uldivmod+0xfc>
            0xE1A0_C001, // mov ip, r1
            0xE192_0003, // orrs r0, r2, r3
            0x0A00_0025, // beq f8 <__aeabi_uldivmod+0xf8>
            0xE16F_0F1E, // clz r0, lr
            0xE35C_0000, // cmp ip, #0
            0xE280_0020, // add r0, r0, #32
            0xE16F_1F12, // clz r1, r2
            0x116F_0F1C, // clzne r0, ip
            0xE353_0000, // cmp r3, #0
            0xE281_1020, // add r1, r1, #32
            0x116F_1F13, // clzne r1, r3
            0xE051_5000, // subs r5, r1, r0
            0x4A00_001B, // bmi f8 <__aeabi_uldivmod+0xf8>
            0xE3A0_0000, // mov r0, #0
            0xE3A0_8001, // mov r8, #1
            0xE3A0_1000, // mov r1, #0
            0xEA00_0003, // b a8 <__aeabi_uldivmod+0xa8>
            0xE245_4001, // sub r4, r5, #1
            0xE355_0000, // cmp r5, #0
            0xE1A0_5004, // mov r5, r4
            0xDA00_0015, // ble 100 <__aeabi_uldivmod+0x100>
            0xE265_9020, // rsb r9, r5, #32
            0xE255_A020, // subs sl, r5, #32
            0xE1A0_4932, // lsr r4, r2, r9
            0xE1A0_6512, // lsl r6, r2, r5
            0xE184_4513, // orr r4, r4, r3, lsl r5
            0x51A0_4A12, // lslpl r4, r2, sl
            0x5300_6000, // movwpl r6, #0
            0xE05E_7006, // subs r7, lr, r6
            0xE0DC_7004, // sbcs r7, ip, r4
            0x3AFF_FFF1, // bcc 98 <__aeabi_uldivmod+0x98>
            0xE05E_E006, // subs lr, lr, r6
            0xE0CC_C004, // sbc ip, ip, r4
            0xE35A_0000, // cmp sl, #0
            0xE1A0_4518, // lsl r4, r8, r5
            0x5300_4000, // movwpl r4, #0
            0xE180_0004, // orr r0, r0, r4
            0xE1A0_4938, // lsr r4, r8, r9
            0x51A0_4A18, // lslpl r4, r8, sl
            0xE181_1004, // orr r1, r1, r4
            0xEAFF_FFE7, // b 98 <__aeabi_uldivmod+0x98>
            0xE3A0_0000, // mov r0, #0
            0xE3A0_1000, // mov r1, #0
            0xE1A0_200E, // mov r2, lr
            0xE1A0_300C, // mov r3, ip
            0xE8BD_87F0, // pop {r4, r5, r6, r7, r8, r9, sl, pc}
        ],
    ),
];
