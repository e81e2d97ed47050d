import { createHash } from "node:crypto";

/** The page's whole style: no font, image or script from anywhere. Colours of the picture are Okabe and Ito's, which all eyes can tell apart. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;--paper:#fcfcfa;--card:#fff;--ink:#1c2429;--quiet:#55626c;--line:#d8dcd8;--link:#0b5394;--focus:#b35c00;
--fine:#0b6e4f;--degraded:#8a5a00;--trouble:#a32a12;--authenticated:#0072b2;--partly:#56b4e9;--not-demanded:#a0a8ae;--refused:#d55e00;--dns:#e69f00;--not-tried:#7a5195}
@media (prefers-color-scheme:dark){:root{--paper:#14181b;--card:#1c2226;--ink:#e3e7e9;--quiet:#a3afb7;--line:#39434a;--link:#8cc2f0;--focus:#f2b25c;
--fine:#5cc9a0;--degraded:#e8b85a;--trouble:#ff9a80;--authenticated:#3f9bd4;--partly:#8ed0f5;--not-demanded:#7d878e;--refused:#e87a2e;--dns:#f0b93a;--not-tried:#b08bc9}}
*{box-sizing:border-box}
html{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);overflow-wrap:anywhere}
a{color:var(--link);text-underline-offset:.15em}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:2px}
.skip{position:absolute;left:-100vw}
.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.5rem 1rem;z-index:1}
.top,main,.foot{max-width:70rem;margin:0 auto;padding:0 1.25rem}
.top{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem 1.5rem;padding-top:1rem;padding-bottom:.75rem;border-bottom:1px solid var(--line)}
.top .name{font-weight:650;margin:0}
.top nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;margin:0;padding:0}
.top nav a{display:inline-block;padding:.25rem 0}
.top [aria-current]{color:var(--ink);font-weight:600;text-decoration-thickness:2px}
.top .who{margin-left:auto;color:var(--quiet);font-size:.9rem}
.top .who form{display:inline}
h1{font-size:1.6rem;line-height:1.25;margin:1.5rem 0 .75rem;font-weight:650}
h2{font-size:1.15rem;line-height:1.3;margin:2.25rem 0 .6rem;font-weight:650}
h3{font-size:1rem;margin:1.5rem 0 .4rem;font-weight:650}
p{margin:.4rem 0 .8rem;max-width:46rem}
.quiet{color:var(--quiet)}
.small{font-size:.875rem}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em}
pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.85rem;white-space:pre-wrap;background:var(--card);
border:1px solid var(--line);border-radius:4px;padding:.6rem .75rem;margin:.5rem 0 1rem}
.verdict{border-left:.4rem solid var(--quiet);background:var(--card);padding:.9rem 1.1rem;margin:1.25rem 0;border-radius:0 4px 4px 0}
.verdict h1,.verdict h2{margin:0 0 .2rem;font-size:1.6rem}
.verdict p:last-child,.verdict ul:last-child{margin-bottom:0}
.fine{border-color:var(--fine)}.degraded{border-color:var(--degraded)}.trouble{border-color:var(--trouble)}
.fine .mark,.state.fine{color:var(--fine)}.degraded .mark,.state.degraded{color:var(--degraded)}.trouble .mark,.state.trouble{color:var(--trouble)}
.state{font-weight:600;white-space:nowrap}
.alarm{color:var(--trouble);font-weight:600}
.notice{border:1px solid var(--line);border-left:.4rem solid var(--link);background:var(--card);padding:.6rem 1rem;margin:1rem 0}
.notice p{margin:0}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.75rem 1.5rem;margin:.75rem 0}
.facts dt{color:var(--quiet);font-size:.875rem}
.facts dd{margin:0}
.facts .big{font-size:1.35rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;margin:.25rem 0 1rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{text-align:left;vertical-align:top;padding:.45rem .75rem .45rem 0;border-bottom:1px solid var(--line)}
th{font-size:.8125rem;color:var(--quiet);font-weight:600;white-space:nowrap}
@media (min-width:72rem){td.short,td.pick{white-space:nowrap}td.name{min-width:9.5rem}td.words,td.brief{min-width:11rem}}
details th{white-space:normal}
.number{text-align:right;font-variant-numeric:tabular-nums}
form{margin:0}
.fields{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:end;margin:.75rem 0 1rem}
.fields input{width:11rem}.fields input[size]{width:auto}
.fields label,.field label{display:block;font-size:.875rem;color:var(--quiet)}
.field{margin:.75rem 0}
input,select,button,.button{font:inherit;color:inherit;min-height:2.5rem;padding:.35rem .7rem;border:1px solid var(--quiet);border-radius:4px;background:var(--card);max-width:100%}
input[type=checkbox]{min-height:0;width:1.15rem;height:1.15rem;vertical-align:-.2rem;accent-color:var(--link)}
button,.button{cursor:pointer;font-weight:600;text-decoration:none;display:inline-block}
button.primary{background:var(--link);border-color:var(--link);color:var(--card)}
button.danger{border-color:var(--trouble);color:var(--trouble)}
button.danger.primary{background:var(--trouble);color:var(--card)}
button.plain{border:0;background:none;padding:0;min-height:0;color:var(--link);text-decoration:underline;text-underline-offset:.15em;font-weight:400}
.actions{display:flex;flex-wrap:wrap;gap:.6rem;margin:.75rem 0 1rem;align-items:center}
.finding{border:1px solid var(--line);border-left:.4rem solid var(--quiet);border-radius:0 4px 4px 0;background:var(--card);padding:.6rem 1rem;margin:.75rem 0}
.finding h3{margin:0 0 .3rem}
.finding.error{border-left-color:var(--trouble)}.finding.warning{border-left-color:var(--degraded)}
.chart{margin:.5rem 0}
.chart svg:not(.swatch),.chain svg{display:block;width:100%;height:auto}
.chart svg.narrow{display:none}
.grid{stroke:var(--line)}
.tick{fill:var(--quiet);font-size:12px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.25rem;padding:0;margin:.5rem 0;font-size:.875rem}
.swatch{width:.85rem;height:.85rem;vertical-align:-.08rem}
rect.authenticated{fill:var(--authenticated)}rect.partly{fill:var(--partly)}rect.not-demanded{fill:var(--not-demanded)}
rect.refused{fill:var(--refused)}rect.dns{fill:var(--dns)}rect.not-tried{fill:var(--not-tried)}
.chain{max-width:26rem;margin:.5rem 0 1rem}
.chain .box{fill:var(--card);stroke:var(--quiet);stroke-width:1.5}
.chain .box.secure{stroke:var(--fine)}.chain .box.insecure{stroke:var(--degraded);stroke-dasharray:6 3}.chain .box.broken{stroke:var(--trouble);stroke-width:3}
.chain .arrow{stroke:var(--fine);stroke-width:2;fill:none}
.chain .arrow.insecure{stroke:var(--degraded);stroke-dasharray:5 4}.chain .arrow.broken{stroke:var(--trouble);stroke-dasharray:2 4}
.chain text{fill:var(--ink);font-size:13px}.chain text.zone{font-weight:650;font-size:15px}.chain text.side{fill:var(--quiet)}
.chain text.secure{fill:var(--fine)}.chain text.insecure{fill:var(--degraded)}.chain text.broken{fill:var(--trouble)}
.pair h3:first-child{margin-top:.6rem}
.pair{display:grid;grid-template-columns:minmax(0,26rem) minmax(0,1fr);gap:0 2rem}
details{margin:.5rem 0 1rem}
summary{cursor:pointer;padding:.25rem 0;color:var(--link)}
.foot{color:var(--quiet);font-size:.875rem;border-top:1px solid var(--line);margin-top:3rem;padding-top:.75rem;padding-bottom:2rem}
@media screen and (max-width:46rem){
.top .who{margin-left:0;width:100%}
.chart svg.wide{display:none}.chart svg.narrow{display:block}
.pair{display:block}
.facts{grid-template-columns:1fr 1fr}
.fields{display:grid;grid-template-columns:1fr 1fr}.fields:has(>:nth-child(-n+2):last-child){grid-template-columns:1fr}
.fields input:not([type=checkbox]),.fields input[size],.fields select{width:100%}
td.brief>span{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:4;overflow:hidden}
}
@media screen and (max-width:60rem){
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody,tr,td{display:block}
tr{border-bottom:1px solid var(--line);padding:.5rem 0}
td{border:0;padding:.1rem 0;display:grid;grid-template-columns:6.25rem minmax(0,1fr);gap:.75rem}
td.number{text-align:left}td:not(:has(>span:not(:empty))){display:none}
td::before{content:attr(data-label);color:var(--quiet);font-size:.875rem}
}
@media print{
:root{color-scheme:light;--paper:#fff;--card:#fff;--ink:#000;--quiet:#444;--line:#999;--link:#000;--fine:#0b6e4f;--degraded:#8a5a00;--trouble:#a32a12}
html{font-size:10pt}.top,main,.foot{max-width:none;padding-left:0;padding-right:0}
.top nav,.who,form,.actions,.skip,details:not([open]){display:none}form:has(table){display:block}
table{font-size:9pt}th,td{padding:.3rem .6rem .3rem 0}td.short{overflow-wrap:break-word}.pick{display:none}
rect,.swatch{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.verdict,.finding{border:1px solid var(--line);border-left-width:.4rem}.fine{border-left-color:var(--fine)}.degraded{border-left-color:var(--degraded)}.trouble{border-left-color:var(--trouble)}
tr,.finding,figure,.verdict,.chain{break-inside:avoid}h2,h3{break-after:avoid}a{color:inherit;text-decoration:none}}
`;

/** For the policy: only this text is a style. */
export const PAGE_STYLE_HASH = `sha256-${createHash("sha256").update(PAGE_STYLE).digest("base64")}`;
