/* grids4.c - the lists of points, and the cells that follow from them. */
#include "grids4.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Data of the formats: the lists of ggml (kgrid_256 and kgrid_512 in iq3xs_init_impl() of ggml-quants.c), in octal, so
 * that every figure is a digit, the last one digit 0. */
/* clang-format off */
const uint16_t ws_grid4_iq3_xxs[256] = {
    00000, 00002, 00004, 00011, 00013, 00017, 00020, 00022, 00031, 00042, 00073, 00075, 00101, 00103, 00110, 00112,
    00121, 00125, 00130, 00132, 00141, 00154, 00170, 00200, 00202, 00204, 00211, 00220, 00222, 00231, 00233, 00237,
    00251, 00257, 00275, 00301, 00307, 00310, 00312, 00325, 00370, 00413, 00437, 00444, 00457, 00473, 00475, 00501,
    00507, 00532, 00552, 00635, 00664, 00710, 00714, 00716, 00743, 00761, 01001, 01003, 01010, 01012, 01021, 01023,
    01030, 01032, 01034, 01047, 01050, 01100, 01102, 01111, 01120, 01122, 01201, 01203, 01210, 01212, 01221, 01230,
    01272, 01300, 01302, 01320, 01331, 01346, 01366, 01401, 01405, 01450, 01520, 01524, 01546, 01571, 01605, 01722,
    01740, 02000, 02002, 02011, 02013, 02020, 02022, 02026, 02031, 02042, 02101, 02103, 02105, 02110, 02112, 02121,
    02130, 02163, 02167, 02170, 02200, 02202, 02211, 02217, 02220, 02222, 02237, 02240, 02255, 02301, 02310, 02314,
    02370, 02374, 02435, 02453, 02503, 02527, 02541, 02574, 02701, 02703, 02716, 02745, 03001, 03010, 03012, 03021,
    03023, 03050, 03065, 03072, 03100, 03102, 03120, 03131, 03144, 03146, 03201, 03203, 03210, 03225, 03252, 03272,
    03311, 03333, 03430, 03447, 03472, 03500, 03506, 03522, 03555, 03614, 03636, 03663, 03733, 03760, 04004, 04017,
    04035, 04037, 04053, 04057, 04174, 04220, 04237, 04240, 04260, 04266, 04307, 04345, 04404, 04451, 04464, 04525,
    04543, 04570, 04705, 04710, 04712, 04730, 05012, 05041, 05070, 05100, 05106, 05126, 05155, 05214, 05232, 05272,
    05302, 05353, 05410, 05423, 05427, 05472, 05502, 05531, 05650, 05724, 05742, 06024, 06044, 06046, 06064, 06121,
    06161, 06217, 06264, 06330, 06336, 06444, 06505, 06552, 06633, 06703, 06721, 07003, 07005, 07007, 07010, 07032,
    07052, 07126, 07140, 07212, 07245, 07252, 07300, 07315, 07333, 07360, 07421, 07441, 07500, 07502, 07524, 07630,
};

const uint16_t ws_grid4_iq3_s[512] = {
    00000, 00001, 00002, 00005, 00007, 00010, 00011, 00012, 00014, 00016, 00020, 00021, 00025, 00033, 00040, 00042,
    00045, 00047, 00051, 00053, 00060, 00062, 00071, 00074, 00077, 00100, 00101, 00102, 00104, 00110, 00111, 00115,
    00120, 00123, 00127, 00131, 00135, 00144, 00161, 00165, 00172, 00200, 00201, 00205, 00207, 00210, 00213, 00216,
    00221, 00225, 00230, 00234, 00242, 00245, 00247, 00251, 00253, 00270, 00273, 00303, 00311, 00315, 00320, 00322,
    00331, 00333, 00336, 00344, 00350, 00352, 00367, 00371, 00375, 00400, 00413, 00417, 00421, 00424, 00432, 00440,
    00443, 00451, 00470, 00502, 00504, 00520, 00522, 00526, 00533, 00541, 00545, 00547, 00566, 00573, 00606, 00611,
    00613, 00631, 00652, 00671, 00700, 00702, 00704, 00720, 00722, 00726, 00733, 00750, 00754, 01000, 01001, 01002,
    01004, 01010, 01011, 01013, 01015, 01017, 01020, 01022, 01031, 01034, 01036, 01054, 01056, 01061, 01072, 01100,
    01101, 01103, 01106, 01110, 01114, 01121, 01130, 01133, 01141, 01150, 01152, 01170, 01176, 01200, 01212, 01215,
    01217, 01220, 01224, 01232, 01240, 01243, 01255, 01260, 01272, 01301, 01304, 01307, 01310, 01313, 01321, 01327,
    01330, 01334, 01341, 01362, 01370, 01403, 01405, 01412, 01414, 01431, 01433, 01442, 01446, 01450, 01454, 01501,
    01510, 01513, 01521, 01530, 01532, 01551, 01620, 01624, 01627, 01644, 01646, 01701, 01703, 01710, 01712, 01721,
    01735, 01741, 01762, 01770, 02000, 02001, 02003, 02005, 02007, 02010, 02012, 02014, 02016, 02021, 02023, 02027,
    02030, 02032, 02041, 02043, 02045, 02050, 02052, 02067, 02070, 02073, 02075, 02100, 02102, 02110, 02113, 02117,
    02122, 02125, 02131, 02134, 02142, 02151, 02201, 02204, 02207, 02221, 02223, 02230, 02237, 02241, 02253, 02257,
    02271, 02274, 02300, 02302, 02305, 02311, 02322, 02324, 02331, 02333, 02342, 02350, 02366, 02401, 02407, 02420,
    02423, 02432, 02435, 02441, 02472, 02475, 02504, 02511, 02522, 02537, 02540, 02553, 02570, 02600, 02602, 02607,
    02621, 02655, 02661, 02705, 02711, 02726, 02730, 02743, 02750, 03002, 03011, 03013, 03015, 03017, 03022, 03031,
    03033, 03035, 03042, 03044, 03047, 03051, 03063, 03071, 03101, 03103, 03105, 03114, 03121, 03123, 03140, 03160,
    03172, 03176, 03200, 03212, 03220, 03232, 03234, 03250, 03301, 03310, 03314, 03321, 03323, 03327, 03330, 03341,
    03343, 03347, 03355, 03373, 03403, 03411, 03416, 03422, 03431, 03452, 03460, 03464, 03501, 03510, 03512, 03525,
    03532, 03544, 03556, 03573, 03616, 03641, 03701, 03703, 03720, 03722, 03735, 04000, 04004, 04012, 04020, 04024,
    04027, 04032, 04041, 04050, 04070, 04102, 04107, 04111, 04113, 04122, 04130, 04135, 04143, 04151, 04155, 04201,
    04203, 04210, 04215, 04221, 04233, 04240, 04257, 04262, 04270, 04304, 04311, 04313, 04320, 04322, 04331, 04335,
    04400, 04402, 04424, 04437, 04440, 04471, 04505, 04507, 04521, 04562, 04613, 04634, 04660, 04710, 04715, 04730,
    04743, 04751, 05002, 05010, 05014, 05022, 05040, 05044, 05047, 05052, 05066, 05074, 05101, 05103, 05105, 05112,
    05121, 05132, 05172, 05200, 05211, 05223, 05230, 05236, 05253, 05302, 05307, 05310, 05327, 05344, 05351, 05365,
    05373, 05401, 05404, 05420, 05432, 05446, 05512, 05526, 05551, 05553, 05642, 05702, 05704, 05722, 06011, 06013,
    06015, 06031, 06033, 06060, 06100, 06120, 06127, 06164, 06212, 06234, 06242, 06255, 06262, 06270, 06300, 06314,
    06321, 06340, 06425, 06443, 06462, 06500, 06503, 06534, 06560, 06605, 06640, 06711, 06713, 07000, 07004, 07007,
    07020, 07022, 07036, 07040, 07054, 07062, 07102, 07111, 07124, 07143, 07145, 07201, 07204, 07210, 07216, 07221,
    07230, 07251, 07302, 07332, 07335, 07353, 07401, 07405, 07413, 07420, 07450, 07522, 07542, 07602, 07631, 07700,
};
/* clang-format on */

enum {
    MAX_DISTANCE = 4 * 7 * 7,
    LONGEST = 40,           /* list, filled up */
    XXS_NEIGHBOURS = 46200, /* of all cells together, filled up */
    S_NEIGHBOURS = 54428,
};

typedef struct {
    ws_grid4_cell cells[WS_GRID4_CELLS];
    uint16_t places[WS_GRID4_CELLS];
} grid_data;

static grid_data xxs, s;
static uint32_t xxs_neighbours[XXS_NEIGHBOURS], s_neighbours[S_NEIGHBOURS];

static int digit(uint32_t code, int i) { return (int)(code >> 3 * i & 7); }

/* Squares of the distances of a code from n points. */
static void measure(uint8_t *distances, uint32_t code, const uint16_t *points, size_t n) {
    for (size_t k = 0; k < n; k++) {
        int sum = 0;
        for (int i = 0; i < 4; i++)
            sum += (digit(points[k], i) - digit(code, i)) * (digit(points[k], i) - digit(code, i));
        distances[k] = (uint8_t)sum;
    }
}

/* The points at the `wanted` smallest distances; returns how many there are. */
static size_t nearest(uint16_t *out, const uint8_t *distances, const uint16_t *points, size_t n, int wanted) {
    size_t found = 0;
    for (int distance = 1; distance <= MAX_DISTANCE && wanted; distance++) {
        const size_t before = found;
        for (size_t k = 0; k < n; k++)
            if (distances[k] == distance) out[found++] = points[k];
        wanted -= found > before;
    }
    return found;
}

/* Is every digit of point a that of `code`, or between it and that of point b? */
static bool shadows(uint32_t a, uint32_t b, uint32_t code) {
    for (int i = 0; i < 4; i++) {
        const int from_a = digit(a, i) - digit(code, i), from_b = digit(b, i) - digit(code, i);
        if (from_a > 0 ? from_b < from_a : from_a < 0 && from_b > from_a) return false;
    }
    return true;
}

/* Those of n neighbours that none before them shadows. */
static size_t unshadowed(uint16_t *out, const uint16_t *neighbours, size_t n, uint32_t code) {
    size_t found = 0;
    for (size_t k = 0; k < n; k++) {
        bool hidden = false;
        for (size_t before = 0; before < found && !hidden; before++) hidden = shadows(out[before], neighbours[k], code);
        if (!hidden) out[found++] = neighbours[k];
    }
    return found;
}

/* Copies a list of codes to the end of `neighbours` and fills it up; returns the list as a cell has it. */
static uint32_t append(uint32_t *neighbours, size_t *end, const uint16_t *list, size_t n) {
    const size_t first = *end / WS_GRID4_STEP, steps = (n + WS_GRID4_STEP - 1) / WS_GRID4_STEP;
    for (size_t k = 0; k < WS_GRID4_STEP * steps; k++) {
        const uint32_t code = list[k < n ? k : n - 1];
        uint32_t rows = 0;
        for (int i = 0; i < 4; i++) rows |= 8 * (8 * (uint32_t)i + (code >> 3 * i & 7)) << 8 * i;
        neighbours[(*end)++] = rows;
    }
    return (uint32_t)(first << 8 | steps);
}

static void build(grid_data *grid, uint32_t *neighbours, const uint16_t *points, size_t n, int wanted) {
    for (size_t i = 0; i < n; i++) grid->places[points[i]] = (uint16_t)i;
    size_t end = 0;
    for (int which = 0; which < 2; which++) /* all short lists side by side: they are what is read */
        for (uint32_t code = 0; code < WS_GRID4_CELLS; code++) {
            uint8_t distances[512];
            uint16_t all[LONGEST], some[LONGEST];
            measure(distances, code, points, n);
            if (memchr(distances, 0, n)) continue; /* a point */
            const size_t n_all = nearest(all, distances, points, n, wanted);
            const size_t n_some = unshadowed(some, all, n_all, code);
            grid->cells[code].unshadowed_and_all[which] =
                which ? append(neighbours, &end, all, n_all) : append(neighbours, &end, some, n_some);
        }
}

static void build_xxs(void) { build(&xxs, xxs_neighbours, ws_grid4_iq3_xxs, 256, 2); }
static void build_s(void) { build(&s, s_neighbours, ws_grid4_iq3_s, 512, 3); }

const ws_grid4 *ws_grid4_get_iq3_xxs(void) {
    static const ws_grid4 grid = {xxs.cells, xxs_neighbours, xxs.places};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, build_xxs);
    return &grid;
}

const ws_grid4 *ws_grid4_get_iq3_s(void) {
    static const ws_grid4 grid = {s.cells, s_neighbours, s.places};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, build_s);
    return &grid;
}
