"""Table of the Sentinel-2 tiles that exist and of those that contain land.

Facts from ESA's published tiling grid (the tiling-grid KML and its list of land tiles), which follow from no
rule. For each UTM zone 1 to 60 and each row of 100 km (the southern rows 0 to 99 from their false origin,
then the northern rows 0 to 93) one byte, whose bit k says whether the square of column k exists; then as many
bytes for land. Deflated, in base 85. It is a module and not a data file, so that every function's archive
contains it. `tests/geo/test_mgrs_tile.py` compares every tile, corner and polygon with the published grid.
"""

import base64
import zlib
from functools import cache

SOUTHERN_ROWS = 100
"""Rows of 100 km south of the equator, counted from the false northing of 10,000 km; northern rows follow."""
ROWS_PER_ZONE = 194
"""All rows of a zone."""


def exists(zone: int, row: int, column: int) -> bool:
    """Whether the square is a tile."""
    return _is_set(_bitmaps()[0], zone, row, column)


def has_land(zone: int, row: int, column: int) -> bool:
    """Whether the tile contains land."""
    return _is_set(_bitmaps()[1], zone, row, column)


def _is_set(bitmap: bytes, zone: int, row: int, column: int) -> bool:
    return bool(bitmap[(zone - 1) * ROWS_PER_ZONE + row] >> column & 1)


@cache
def _bitmaps() -> tuple[bytes, bytes]:
    """Bytes of 8 columns each for existence and for land, at [(zone - 1) * ROWS + row]."""
    raw = zlib.decompress(base64.b85decode(_COMPRESSED_BITMAPS))
    return raw[: len(raw) // 2], raw[len(raw) // 2 :]


_COMPRESSED_BITMAPS = (
    "c-rloO^Dpc700y|p%g|4u?&k?gb=|8AC@3YV{{mVSj>{skmC}J5rdiJ5C&n45vCDh2quIu<P>}e!)^#U@6o40_>kmea@^A(eDEQML6~I_L!;zX>07O@mU<zEDm<9"
    "!57qls)vNb^uWC4sHl@}MyP7}T{yV#kJh;=Cy0uCMz{zs;l3BLem)7;R-BCKbZ9l8gRn3ITuF6(fmKgyfU<8bS5ikNqzz7%tBVYuKfDtePM!*Od0V7}pjDQh*bOd"
    "VFN&?TTEc`eKth^Og8C+NUm{w8#VzHh+LIO4iYz~$a<hv6)M`HwxfDtePM!*Od0V7}pjDQg^0!F|H7{UKBLG#}7;Qi(CE6fX9U$0#j*6T&wcteOo9Um2oXE+ak{m"
    "-BN<Xeu1PkizTdCAV+7<gvL8Digig6~wn@cfF@u|-}~dn#VsKANrrXP62c=0u)!D`MRFxf0;c(Bs5ICo}B}k&{hqnpoHSK1<fqo+zL>T!-O-z5UX`*ppP#&|zGN5"
    "3ESR5&ju{1PbxxMGOWu%+hdlA9@P1`R5!!;#<atQGAHTA1Z<e?^HKkfDqiJ%VI-K)x$6Y>GdfAO?xb?d$mb`hbzCc5Xkz#nMHqn_iXKQdu|7H0?dunuIKmjOV{zf"
    "evA${(ud<3dvhz@s1tBw1hWwo9=1hcuVZgJj$xQBKhQ@B<_+D!!Jb!+?YQo<?h_DW>;z<1hx{JK+x0w;N{QnCepLZmr@Uu^InGZ*o9#S#;=0}pT_pDrV0~67p7_b"
    "qYe@gb>&<3?vg;v`m7b6>)bOrf2;(H#Y&LVXDYrcfO?CZaFQJ&4o*&gOQP*-00gR}zKXaofYAmuKPDox5#sB^$QyplGKovz%?a2>13GVH8z!54}S`bB<`PR84X%}"
    "zbWbd2|5~!I>x!aTBbP*W(WX~-0Lp%NkK^TH`OOgbB;y4b&-v_}fFdd;gcRmxIg0OoXUZ;MXChJG41~^tPfkB!M$$@zf-<w9zrT=u7Y}Q$GNpoDsacp}_F$YoZp`"
    "C4$B$?v-d-|XB`qtDWp@`y0B8`yr`+<=Iz;xms0$j_JjcOv~{FV=7%ZJ^0@}_8GY4KG`7sb0&6Huo*l_dVrHi5dTE>hrHQrsedw1gm-<y06Yg-Bv%k?x6-rp?Rre"
    "gE`s<T$@^Eo~sAKP1ES+eeir6IT{RTv%TxXnJz)an+|(^$VlY>5Y6A0fn?1fs~~Llkx&L_hMD#>w#0(saN#xMcbl|AJjWY5CFs)Lx4>moE7b|f$@B^XTvbfNqbR;"
    "X2wP8JF;g=efDd6P~2vJy=ZI>$}w0?*!N*Z$abQUX(@(Z<M$F&U`j+hsb<&1Ad1sc<rWY^auyx-q!BTm5D&Hy;8RnDn=l-eOIa60PER%|4#5E)o)pn^?niECSs2S"
    "_rXwtN`$Co@V`yW#s2<CPa+I--+tV3@5d`ckHfOPKvq@t2)W0usywINp<<AjoI}OfSvu@f@6;l!dgvOnrR>n*EYu9V4Rct%cEbx<A@B9MZfZ?QZwMvd_<6f@}wsp"
    "}GExLt7nfx89?~pRrv?(;h;K%l~F@goPADhlf2vT&Ez!o%1((1zQNm136WqsSTcOjTsc?3}%2F30fkm4xF>kmJ~$%GRSi0!tbeC;)~DKVzFc0DNjXA;0ZLaHRL2b"
    "n-p7pCJPwMn2!ph`d2EW>N7YqgbS(rrf1wkBgSfws3(sI^B*T%Nby%5d_M-KtU*`ab8NOs$p@kSWN=!%`22Gkv;+Vi4O6Gus5y%U+op(q@AAm)RFj9LLM6UTe_SU"
    "O$0?r};tONy(5v(q$r1FN;5T(5!~WtGCOmtGDlO(%ajv-SpV?2Iin%hQP|;&2eKVaiKtG5NC-uCsFw7;;Wh*M}kyw+(`bi)7Y9>a&Nt8$YT^dAg^IX3BoxnDuD(N"
    "y)Ha5@vUh|h%~DLxbUC9cv0AXbaHZfdg6NC00D*^E!T6(fU4Nd6-p6*08h42S%<`YhuooJM94F3>wM=qFifiK<cvTbAedFc-Z^y7sGCxeO>G}icIH;XNfv~%8x{%"
    "BZOK=Q*Q6k}nOFIhb1xoJcH4d|?kcWJ@hS+sK%4z8y1BVcnkBJ$wd?W_e8FCXc3m(aF-eIougopH8A5HxLvyfDVNVEz5CoUpZJ~D%<dNMJ@6TQ$SwllsNM2<saun"
    "rGu=sY)Fu{T|1XRjvP}kY2zm8+_S4@9tS67!1jIE+Ya{%)j#i<3c>ry*9I!|A|M5J(4>7h%1F#+bdJ<S0m2~k8+o5rh<)LaHZKHeYRkT>n{>?Q0;=(GEvL?vq(LF"
    "@WV2f>6XsIIK#c}=zd2j8du`J0=!*Vk89q;v=7zE&=uzyAlMaDO6s9I3iowE?V&1bF-Q&&<6@YiBs5eiDVCxvURqDp=OVMVi8<<JjSs@6$~}$K0Z49Rf%W;emgc*"
    "DAj{KK}CP^khAaKpt1ulXug{9f`qB97Uu!@%`U^@Y5SG`bhj2IzyywegC1P8nWSf{&WAa<`d~>O^#^G2_P+8cjRbfDLf}T=pWB->F@cBix>xk+1|5b8t27&lGa6_"
    "HzUC;Z3@2YH4dX{0C60<Zd_KlwBwpE!nHbZkm&;5Bq<}$^R(<ukGee9e6}jA=Xp`>^5k)Xen(c+L+e5794g-#E$Qcfeo2pN;$&@U;0owfSYgxM3JE+t;OIM6K%%I"
    "+cH``&O#ps|<uQVB6^e?SC2NxKs~5FCCG8Jkc<morLUw%OK#zBSwskDg_i#~F4A-$8hgPgx1XL0!BLqsTl0PsbT_4lG3lrZG<WJ@L*wXsl^s|KOirvas)d;#RlI6"
    "UpjVS@<w(eWn<Tj`7kW=LDi#E2Kta)0XwjJ*2eH%63KRe@s*fpMh+P>v7+*Sv?D2nwtxHphoVHzkf?!4v77sU#2H5Vq>rgzBdI{UjbSlro;+1NFI7uvvt9vptIN)"
    "oxsHeHyzdAE4{p54?VqHN^o38p2rE?k1`<h0+WOA7!EncOcHB{aJ~vr4PP^4@iOBmEyU2|Mu"
)
